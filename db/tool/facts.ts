import type { Client } from "pg";
import { DatabaseError } from "pg";
import type { Catalogue } from "./catalogue.ts";
import { withClient } from "./connect.ts";
import { readMigrations } from "./history.ts";
import { appliedMigrations, pending } from "./migrate.ts";
import { powersOfWorker, roleSettings, workerRole } from "./role.ts";

// What must be true of a database whatever its schema is: one function a fact, each with its lines of what is not.

/** Postgres 18: `uuidv7()`, and what the tests ran on. */
export async function version(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ number: number; name: string }>(
    "select current_setting('server_version_num')::integer as number, current_setting('server_version') as name",
  );
  const [server] = rows;
  return server !== undefined && server.number >= 180_000 ? [] : [`Postgres 18 or newer, not ${server?.name}`];
}

/** Every migration of this checkout, unedited, and no other. */
export async function migrations(client: Client, directory: string): Promise<string[]> {
  try {
    const left = pending(readMigrations(directory), await appliedMigrations(client));
    return left.map(({ name }) => `not applied: migrations/${name} (npm run db:migrate)`);
  } catch (error) {
    if (error instanceof DatabaseError && error.code === undefinedTable) {
      return ["not applied: any migration (npm run db:migrate)"];
    }
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** Rules that hold for every routine, whatever the expected catalogue says. */
export function routines(found: Catalogue): string[] {
  const lines: string[] = [];
  const names = new Map<string, string>();
  for (const [thing, is] of found) {
    const signature = /^routine (?<signature>.*)$/.exec(thing)?.groups?.["signature"];
    if (signature === undefined) {
      continue;
    }
    const name = signature.slice(0, signature.indexOf("("));
    const other = names.get(name);
    if (other !== undefined) {
      lines.push(`overloaded: ${other} and ${signature}: calls of it are ambiguous (42725)`);
    }
    names.set(name, signature);
    if (!is["settings"]?.split(", ").includes('search_path=""')) {
      lines.push(`${signature} runs under its caller's search_path: a temporary table can stand in for a real one`);
    }
    if (is["public may"] !== undefined) {
      lines.push(`${signature} may be executed by PUBLIC`);
    }
  }
  return lines;
}

/** New functions of the owner's are not PUBLIC's: else DROP and CREATE would open each again. */
export async function defaultPrivileges(client: Client): Promise<string[]> {
  // Postgres's own default stands unless a row says otherwise; a row for one schema can only add to it.
  const { rows } = await client.query<{ closed: boolean; added: string | null }>(
    `select exists (
              select from pg_default_acl d
               where d.defaclrole = current_user::regrole and d.defaclobjtype = 'f' and d.defaclnamespace = 0
                 and not exists (select from aclexplode(d.defaclacl) x where x.grantee = 0)) as closed,
            (select string_agg(d.defaclnamespace::regnamespace::text, ', ')
               from pg_default_acl d, aclexplode(d.defaclacl) x
              where d.defaclrole = current_user::regrole and d.defaclobjtype = 'f' and d.defaclnamespace <> 0
                and x.grantee = 0) as added`,
  );
  const lines =
    rows[0]?.closed === true ? [] : ["default privileges let PUBLIC execute every new function of the owner's"];
  const added = rows[0]?.added ?? null;
  return added === null ? lines : [...lines, `default privileges let PUBLIC execute every new function in ${added}`];
}

/** The Worker's role: there, with a way in, its sessions bounded, and unable to write. */
export async function worker(client: Client, { wayIn }: { wayIn: boolean }): Promise<string[]> {
  const { rows } = await client.query<{ rolcanlogin: boolean; settings: string[] }>(
    `select r.rolcanlogin,
            array(select unnest(s.setconfig) from pg_db_role_setting s
                   where s.setrole = r.oid
                     and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
                   order by s.setdatabase) as settings
       from pg_roles r where r.rolname = $1`,
    [workerRole],
  );
  const [role] = rows;
  if (role === undefined) {
    return [`missing: the role ${workerRole}`];
  }
  const lines = await powersOfWorker(client);
  if (!wayIn) {
    return lines;
  }
  if (!role.rolcanlogin) {
    lines.push(`${workerRole} may not log in (npm run deploy:init gives it a password)`);
  }
  for (const [name, value] of Object.entries(roleSettings)) {
    // The database's own setting comes last, and wins over the role's.
    const text = role.settings.findLast((setting) => setting.toLowerCase().startsWith(`${name.toLowerCase()}=`));
    const has = text?.slice(name.length + 1).replace(/^""$/, "");
    if (has !== value) {
      lines.push(`${workerRole}: ${name} is ${has === undefined ? "not set" : `"${has}"`}, not "${value}"`);
    }
  }
  return lines;
}

/**
 * What every session relies on, with the values that keep it: the second of two calls with one key finds the first's answer
 * by a fresh snapshot; what was answered survives a crash; triggers fire; a name in a routine means one thing.
 */
const reliedOn: Record<string, RegExp> = {
  default_transaction_isolation: /^read committed$/,
  default_transaction_read_only: /^(?:off|false|no|0)$/,
  synchronous_commit: /^(?:on|true|yes|1|local|remote_write|remote_apply)$/,
  session_replication_role: /^origin$/,
  "plpgsql.variable_conflict": /^error$/,
};

/** No setting of the database or of the Worker's role takes that away: roles may change their own. */
export async function sessions(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ setting: string; where: string }>(
    `select unnest(s.setconfig) as setting,
            concat_ws(' in ', r.rolname, case when s.setdatabase <> 0 then 'this database' end) as where
       from pg_db_role_setting s
       left join pg_roles r on r.oid = s.setrole
      where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and (s.setrole = 0 or r.rolname = $1)
      order by setting, s.setrole, s.setdatabase`,
    [workerRole],
  );
  return rows.flatMap(({ setting, where }) => {
    const [name = "", value = ""] = setting.split(/=(.*)/s);
    const allowed = reliedOn[name.toLowerCase()];
    return allowed === undefined || allowed.test(value.toLowerCase()) ? [] : [`${where}: ${name} is "${value}"`];
  });
}

/** Real time: only the local stack moves its clock. */
export async function clock(client: Client): Promise<string[]> {
  try {
    const { rows } = await client.query<{ offset: string }>(`select clock_offset::text as offset from ops.clock`);
    if (rows.length !== 1) {
      return [`ops.clock has ${rows.length} rows, not one: ops.now() has no answer`];
    }
    return rows[0]?.offset === "00:00:00" ? [] : [`the clock is off by ${rows[0]?.offset} (ops.clock)`];
  } catch (error) {
    if (error instanceof DatabaseError && error.code === undefinedTable) {
      return ["missing: ops.clock"];
    }
    throw error;
  }
}

/**
 * A row that one session locked must stop another (A16). Everything here stands on that, and there are engines that
 * parse `for update` and do nothing: two real sessions try it, on a row that nobody else waits for.
 */
export async function rowLocks(connectionString: string): Promise<string[]> {
  return withClient(connectionString, (holder) =>
    withClient(connectionString, async (other) => {
      try {
        await holder.query("begin");
        const held = await holder.query("select name from ops.migration order by name limit 1 for update");
        if (held.rows.length === 0) {
          return ["row locks could not be tried: ops.migration is empty"];
        }
        await other.query("select name from ops.migration order by name limit 1 for update nowait");
        return ["this engine ignores row locks: two sessions hold one row. Nothing here is safe on it."];
      } catch (error) {
        if (!(error instanceof DatabaseError)) {
          throw error;
        }
        return error.code === lockNotAvailable ? [] : [`row locks could not be tried: ${error.message}`];
      } finally {
        await holder.query("rollback");
      }
    }),
  );
}

const undefinedTable = "42P01";
const lockNotAvailable = "55P03";
