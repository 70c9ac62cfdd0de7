import { createServer, connect } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { check, readExpected } from "../../db/tool/check.ts";
import { rowLocks } from "../../db/tool/facts.ts";
import { ourPlaces } from "../../db/tool/places.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestDatabase } from "../support/database.ts";

let untouched: TestDatabase;
beforeAll(async () => {
  untouched = await createTestDatabase();
});
afterAll(() => untouched.drop());

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

test("A17 a database that has everything has nothing missing", async () => {
  expect(await check(untouched.ownerUrl)).toEqual([]);
});

/** Ways in which a database comes to differ, and the line that says so. */
const drifts: [what: string, sql: string, line: string | RegExp][] = [
  [
    "a constraint is gone",
    "alter table ledger.lot drop constraint lot_empty_when_nothing_left",
    "missing: constraint lot_empty_when_nothing_left on ledger.lot",
  ],
  [
    "a constraint is another",
    "alter table people.workspace drop constraint workspace_name_length, add constraint workspace_name_length check (true)",
    /^constraint workspace_name_length on people\.workspace: definition is CHECK \(true\), not /,
  ],
  [
    "a unique key is gone",
    "alter table ledger.transaction drop constraint transaction_key_once",
    "missing: constraint transaction_key_once on ledger.transaction",
  ],
  ["an index is gone", "drop index ledger.lot_drain", "missing: index ledger.lot_drain"],
  ["an index is too much", "create index too_much on ledger.lot (given)", "unexpected: index ledger.too_much"],
  ["a column is gone", "alter table ops.audit drop column detail", "missing: column ops.audit.detail"],
  [
    "a column takes nulls",
    "alter table ops.audit alter detail drop not null",
    "column ops.audit.detail: null is nothing, not not null",
  ],
  [
    "a default is another",
    "alter table ops.alarm alter times set default 2",
    "column ops.alarm.times: default is 2, not 1",
  ],
  ["a table is gone", "drop table ops.parked", "missing: table ops.parked"],
  ["a table is unlogged", "alter table ops.request set unlogged", "table ops.request: persistence is u, not nothing"],
  [
    "a trigger is gone",
    "drop trigger audit_append_only on ops.audit",
    "missing: trigger audit_append_only on ops.audit",
  ],
  [
    "a trigger is off",
    "alter table ops.audit disable trigger audit_append_only",
    "trigger audit_append_only on ops.audit: enabled is D, not nothing",
  ],
  ["a view is gone", "drop view ledger.entry", "missing: view ledger.entry"],
  [
    "a view reads as its owner",
    "alter view ledger.entry set (security_invoker = false)",
    /^view ledger\.entry: options is security_invoker=false/,
  ],
  [
    "a rule swallows writes",
    "create rule lost as on insert to ops.audit do instead nothing",
    "unexpected: rule lost on ops.audit",
  ],
  [
    "a row of a reference table is gone",
    "delete from ops.transition where to_state = 'released'",
    /^missing: row of ops\.transition: .*released/,
  ],
  [
    "a row of a reference table is too much",
    "insert into ops.transition values ('ledger.hold', 'settled', 'held')",
    /^unexpected: row of ops\.transition: .*settled/,
  ],
  ["a routine is gone", "drop function ledger.spend", /^missing: routine ledger\.spend\(/],
  [
    "a body is another",
    "create or replace function ops.now() returns timestamptz language plpgsql volatile security definer set search_path = '' as $$ begin return now(); end $$",
    "routine ops.now(): body is another one",
  ],
  [
    "a routine is overloaded",
    "create function ops.now(zone text) returns timestamptz language plpgsql set search_path = '' as $$ begin return null; end $$",
    /^overloaded: ops\.now\(.*\) and ops\.now\(/,
  ],
  [
    "a search_path is open",
    "alter function ops.now() reset search_path",
    "ops.now() runs under its caller's search_path: a temporary table can stand in for a real one",
  ],
  [
    "a search_path is another",
    "alter function ops.now() set search_path = ops",
    "ops.now() runs under its caller's search_path: a temporary table can stand in for a real one",
  ],
  [
    "a routine runs as its caller",
    "alter function ops.now() security invoker",
    "routine ops.now(): security is invoker, not definer",
  ],
  ["PUBLIC may execute", "grant execute on function ops.now() to public", "ops.now() may be executed by PUBLIC"],
  [
    "PUBLIC will execute",
    "alter default privileges grant execute on functions to public",
    "default privileges let PUBLIC execute every new function of the owner's",
  ],
  [
    "PUBLIC will execute in a schema",
    "alter default privileges in schema ops grant execute on functions to public",
    "default privileges let PUBLIC execute every new function in ops",
  ],
  [
    "PUBLIC may read",
    "grant select on people.api_key to public",
    "table people.api_key: public may is SELECT, not nothing",
  ],
  [
    "the Worker may not execute",
    "revoke execute on function ops.now() from tollgate_worker",
    "routine ops.now(): worker may is nothing, not EXECUTE",
  ],
  [
    "the Worker may not read",
    "revoke select on ledger.account from tollgate_worker",
    "table ledger.account: worker may is nothing, not SELECT",
  ],
  [
    "the Worker may read a hash",
    "grant select (hash) on people.api_key to tollgate_worker",
    "column people.api_key.hash: worker may is SELECT, not nothing",
  ],
  [
    "the Worker may not enter",
    "revoke usage on schema ledger from tollgate_worker",
    "schema ledger: worker may is nothing, not USAGE",
  ],
  ["the Worker may insert", "grant insert on ops.audit to tollgate_worker", "tollgate_worker may INSERT on ops.audit"],
  [
    "the Worker may update a column",
    "grant update (available) on ledger.account to tollgate_worker",
    "tollgate_worker may UPDATE on ledger.account",
  ],
  [
    "the Worker may delete",
    "grant delete on ledger.lot to tollgate_worker",
    "tollgate_worker may DELETE on ledger.lot",
  ],
  [
    "the Worker may truncate",
    "grant truncate on ledger.lot to tollgate_worker",
    "tollgate_worker may TRUNCATE on ledger.lot",
  ],
  ["everybody may insert", "grant insert on ops.audit to public", "tollgate_worker may INSERT on ops.audit"],
  [
    "the Worker may write elsewhere",
    "create table public.other (); grant insert on public.other to tollgate_worker",
    "tollgate_worker may INSERT on public.other",
  ],
  [
    "the Worker may count",
    "create sequence public.counter; grant usage on sequence public.counter to tollgate_worker",
    "tollgate_worker may advance the sequence public.counter",
  ],
  [
    "the Worker may create",
    "grant create on schema ops to tollgate_worker",
    "tollgate_worker may create in the schema ops",
  ],
  [
    "the Worker owns",
    "create table public.own (); grant create on schema public to tollgate_worker; grant tollgate_worker to current_user; alter table public.own owner to tollgate_worker; revoke create on schema public from tollgate_worker",
    "tollgate_worker owns public.own",
  ],
  ["the clock is off", "update ops.clock set clock_offset = '1 hour'", "the clock is off by 01:00:00 (ops.clock)"],
  ["the clock is gone", "delete from ops.clock", "ops.clock has 0 rows, not one: ops.now() has no answer"],
  [
    "a migration is not applied",
    "delete from ops.migration where name = (select max(name) from ops.migration)",
    /^not applied: migrations\/\d{4}_\w+\.sql/,
  ],
  [
    "a migration was another",
    "update ops.migration set sha256 = repeat('0', 64) where name like '0001%'",
    /^0001_\w+\.sql was edited after/,
  ],
  [
    "a migration is from elsewhere",
    "insert into ops.migration values ('9999_x.sql', repeat('0', 64))",
    /^9999_x\.sql was applied .* not in migrations/,
  ],
];

test.each(drifts)("A17 %s: the check says which", async (_, sql, line) => {
  await database.owner.query(sql);
  const lines = await check(database.ownerUrl);
  expect(lines).toContainEqual(typeof line === "string" ? line : expect.stringMatching(line));
});

test("A17 an empty database: every table, routine and constraint is named, one line each", async () => {
  await database.owner.query("drop schema access, billing, ledger, messages, ops, payments, people cascade");
  const lines = await check(database.ownerUrl);
  for (const name of readExpected((await ourPlaces()).migrations).keys()) {
    expect(lines).toContain(`missing: ${name}`);
  }
  expect(lines).toContain("not applied: any migration (npm run db:migrate)");
});

test("A17 the local stack's moved clock is let through there, and nothing else is", async () => {
  await database.owner.query("update ops.clock set clock_offset = '1 hour'; drop index ledger.lot_drain");
  expect(await check(database.ownerUrl, { local: true })).toEqual(["missing: index ledger.lot_drain"]);
});

test("A16 an engine that ignores row locks fails the check", async () => {
  const real = new URL(untouched.ownerUrl);
  const url = new URL(real);
  // Between the check and a real Postgres: takes the lock clauses out, as an engine does that parses and ignores them.
  const server = createServer((client) => {
    const engine = connect(Number(real.port), real.hostname);
    client.on("data", (bytes) => engine.write(withoutLocks(bytes)));
    engine.pipe(client);
    client.on("error", () => engine.destroy());
    engine.on("error", () => client.destroy());
    client.on("close", () => engine.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = server.address();
    url.port = String(typeof address === "object" ? address?.port : undefined);
    expect(await rowLocks(url.href)).toEqual([expect.stringContaining("ignores row locks")]);
    expect(await rowLocks(untouched.ownerUrl)).toEqual([]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

/** The same bytes with spaces for each lock clause: a message keeps its length. */
function withoutLocks(bytes: Buffer): Buffer {
  const text = bytes.toString("latin1");
  return Buffer.from(
    text.replaceAll(/for update(?: nowait)?/g, (clause) => " ".repeat(clause.length)),
    "latin1",
  );
}
