import { Client } from "pg";
import { expect } from "vitest";
import { test as onDatabase } from "../support/sql.ts";

/** The Worker's own connection: whoever has its connection string has this. */
const test = onDatabase.extend("worker", async ({ database }, { onCleanup }) => {
  const worker = new Client({ connectionString: database.workerUrl });
  await worker.connect();
  onCleanup(() => worker.end());
  return worker;
});

test("the Worker's role cannot put a type, a table or a function of its own into the owner's routines", async ({
  worker,
  db,
}) => {
  // Every routine declares variables of this type, and a session's temporary schema is looked through before any other.
  const steps = [
    `create function pg_temp.as_owner(at timestamptz) returns boolean language plpgsql as
       $$ begin update people.workspace set name = current_user; return true; end $$`,
    "create domain pg_temp.timestamptz as pg_catalog.timestamptz check (pg_temp.as_owner(value))",
  ];
  for (const step of steps) await worker.query(step).catch(() => undefined);
  const { rows } = await worker.query<{ id: string }>(
    "select id from people.create_workspace(name => 'untouched', caused_by => 'test')",
  );
  await worker.query(
    `select ledger.grant(owner_id => $1, unit => 'credit', pool => 'bulk', amount => 1, expires_at => null, reason => null,
       idempotency_key => 'first', caused_by => 'test')`,
    [rows[0]?.id],
  );
  const kept = await db.query("select name from people.workspace where id = $1", [rows[0]?.id]);
  expect(kept.rows).toEqual([{ name: "untouched" }]);
});

/** What a connection string of the Worker's must not be good for, each with what Postgres says to it. */
const attempts: [what: string, sql: string, refusal: RegExp][] = [
  ["a temporary table", "create temporary table mine ()", /permission denied to create temporary tables/],
  ["a temporary view", "create temporary view pg_stat_activity as select 1 as pid", /permission denied/],
  ["a temporary domain", "create domain pg_temp.uuid as pg_catalog.uuid", /permission denied/],
  ["a table beside ours", "create table public.mine ()", /permission denied for schema public/],
  ["a schema", "create schema mine", /permission denied for database/],
  ["an insert", "insert into people.workspace values (uuidv7(), 'x', now())", /permission denied for table/],
  ["an update", "update ledger.account set available = 1", /permission denied for table/],
  ["a delete", "delete from ops.request", /permission denied for table/],
  ["a truncation", "truncate ops.sweep_run", /permission denied for table/],
  ["an insert through a view", "insert into ledger.entry default values", /permission denied|cannot insert/],
  ["a merge", "merge into ops.clock c using ops.clock d on true when matched then delete", /permission denied/],
  ["a copy into a table", "copy people.workspace from '/dev/null'", /permission denied/],
  ["a lock on rows", "select id from people.workspace for key share", /permission denied for table/],
  ["a lock on a table", "begin; lock table people.workspace in share mode; commit", /permission denied for table/],
  ["the owner's role", "set role tollgate_owner", /permission denied to set role/],
  ["triggers off", "set session_replication_role = 'replica'", /permission denied to set parameter/],
  ["a hash of a key", "select hash from people.api_key", /permission denied for table api_key/],
  ["a whole row of a key", "select to_jsonb(k) from people.api_key k", /permission denied for table api_key/],
  ["an order by the hash", "select id from people.api_key order by hash", /permission denied for table api_key/],
  ["a search for a hash", "select from people.api_key where hash like 'a%'", /permission denied for table api_key/],
  ["a routine of the routines", "select people.authenticate('', '', null)", /permission denied for function/],
  ["an audit row", "select ops.record_change(null, 'x', 'x', 'x', '{}')", /permission denied for function/],
  ["a movement", "select ledger.post(null, 'x', 'x', 1, '{}', '{}', '{}', 'x', 'x')", /permission denied for function/],
  ["a statement of another role", "select pg_read_file('/etc/passwd')", /permission denied for function/],
];

test.for(attempts)("the Worker's role gets no further: %s", async ([, sql, refusal], { worker }) => {
  await expect(worker.query(sql)).rejects.toThrow(refusal);
});

test("statistics show the Worker's role nothing of the keys' hashes", async ({ worker, db }) => {
  await db.query("analyze people.api_key");
  const { rows } = await worker.query("select from pg_stats where schemaname = 'people' and attname = 'hash'");
  expect(rows).toEqual([]);
});
