import { escapeIdentifier, escapeLiteral } from "pg";
import type { ClientBase } from "pg";

/** The role that the Worker's connection string names. It may EXECUTE and SELECT, nothing else. */
export const workerRole = "tollgate_worker";

/**
 * What the Worker's sessions run under. They are set on the role: over HTTP each statement may get another session, and a
 * function's own SET does not cancel it. The Worker gives up at 10 s, so the database ends first.
 */
export const roleSettings: Record<string, string> = {
  statement_timeout: "8s",
  lock_timeout: "2s",
  idle_in_transaction_session_timeout: "10s",
  TimeZone: "UTC",
  search_path: "",
};

/** Makes the role that migrations grant to, without a way in. Safe when many do it at once, in any database. */
export async function makeWorkerRole(client: ClientBase): Promise<void> {
  // By SQL and not in Neon's console: what is made there may write every table, as a member of neon_superuser.
  await client.query(
    `do $$
     begin
       if not exists (select from pg_roles where rolname = '${workerRole}') then
         create role ${workerRole} nologin;
       end if;
     exception when duplicate_object or unique_violation then null;
     end $$`,
  );
}

/**
 * Takes from PUBLIC what every new database gives it: temporary objects. They are looked for before any other schema,
 * an empty search_path or not: with a temporary domain called `timestamptz`, whose check is a function of its own, the
 * Worker's role ran that function as the owner inside every routine. A copy or a restored dump begins with Postgres's
 * default again, so each run of the migrations does this. Where the role is not the database's owner, Postgres only
 * warns, and `powersOfWorker` says so.
 */
export async function withholdTemporary(owner: ClientBase): Promise<void> {
  await owner.query(
    `do $$
     begin
       if has_database_privilege('public', current_database(), 'TEMPORARY') then
         execute format('revoke temporary on database %I from public', current_database());
       end if;
     end $$`,
  );
}

/**
 * Opens the Worker's way in: LOGIN, the password, the settings. Run again, it changes the password. Throws, with nothing
 * changed, if the role could do more than EXECUTE and SELECT.
 */
export async function prepareWorkerRole(client: ClientBase, password: string): Promise<void> {
  await refusePowers(client);
  const role = escapeIdentifier(workerRole);
  await client.query("begin");
  try {
    // Neon's control plane needs the password itself, not its hash.
    await client.query(`alter role ${role} login password ${escapeLiteral(password)}`);
    for (const [name, value] of Object.entries(roleSettings)) {
      await client.query(`alter role ${role} set ${name} = ${escapeLiteral(value)}`);
    }
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    // A server's error tells where in the statement it was, never the statement: the password is not in it.
    throw new Error(`The role ${workerRole} could not be opened: ${String(error)}`, { cause: error });
  }
}

/** Throws, with each by name, if the Worker's role could do more than EXECUTE and SELECT. */
export async function refusePowers(client: ClientBase): Promise<void> {
  const powers = await powersOfWorker(client);
  if (powers.length > 0) {
    throw new Error(`The Worker's role must not be able to write:\n  ${powers.join("\n  ")}`);
  }
}

/**
 * What the Worker's role could do beyond EXECUTE and SELECT, one line each; nothing when all is well. Asked of Postgres
 * as effective privileges: views of grants say nothing of memberships, ownership or attributes.
 */
export async function powersOfWorker(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ power: string }>(
    `with worker as (select * from pg_catalog.pg_roles where rolname = $1),
     space as (
       select * from pg_catalog.pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
     ),
     relation as (
       select c.oid, c.relkind, c.relowner, format('%I.%I', n.nspname, c.relname) as name
         from pg_catalog.pg_class c join space n on n.oid = c.relnamespace
     )
     select format('%s is a member of %s', $1, r.rolname) as power
       from worker w, pg_catalog.pg_roles r
      where r.oid <> w.oid and pg_has_role(w.oid, r.oid, 'MEMBER') and not w.rolsuper
      union all
     select format('%s has the attribute %s', $1, a.name)
       from worker w, lateral (values
         ('SUPERUSER', w.rolsuper), ('CREATEROLE', w.rolcreaterole), ('CREATEDB', w.rolcreatedb),
         ('REPLICATION', w.rolreplication), ('BYPASSRLS', w.rolbypassrls)) a(name, given)
      where a.given
      union all
     select format('%s may %s on %s', $1, p.name, r.name)
       from worker w, relation r, unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) p(name)
      where r.relkind in ('r', 'p', 'v', 'm', 'f')
        and (has_table_privilege(w.oid, r.oid, p.name)
          or p.name in ('INSERT', 'UPDATE') and has_any_column_privilege(w.oid, r.oid, p.name))
      union all
     select format('%s may advance the sequence %s', $1, r.name)
       from worker w, relation r
      where r.relkind = 'S' and has_sequence_privilege(w.oid, r.oid, 'USAGE, UPDATE')
      union all
     select format('%s owns %s', $1, r.name) from worker w join relation r on r.relowner = w.oid
      union all
     select format('%s owns the routine %s', $1, p.oid::regprocedure)
       from worker w join pg_catalog.pg_proc p on p.proowner = w.oid
      union all
     select format('%s may create in the schema %I', $1, n.nspname)
       from worker w, space n where has_schema_privilege(w.oid, n.oid, 'CREATE')
      union all
     select format('%s may create schemas in this database', $1)
       from worker w where has_database_privilege(w.oid, current_database(), 'CREATE')
      union all
     -- A temporary type or table stands in for a real one in every routine, with the owner's rights.
     select format('%s may make temporary objects (revoke temporary on database %I from public)', $1, current_database())
       from worker w where has_database_privilege(w.oid, current_database(), 'TEMPORARY')
      order by power`,
    [workerRole],
  );
  return rows.map((row) => row.power);
}
