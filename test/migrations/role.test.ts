import { afterAll, beforeAll, expect, test } from "vitest";
import { check } from "../../db/tool/check.ts";
import { migrate } from "../../db/tool/migrate.ts";
import { prepareWorkerRole } from "../../db/tool/role.ts";
import { startEphemeralCluster } from "../world/postgres.ts";
import type { Cluster } from "../world/postgres.ts";
import { createDatabase, createOwner, ownerRole, urlFor, withClient } from "../world/roles.ts";

// Roles belong to a whole cluster: what these tests do to them would reach into every other test's database.
let cluster: Cluster;
let ownerUrl: string;
beforeAll(async () => {
  cluster = await startEphemeralCluster();
  await createOwner(cluster.url("postgres"), "owner");
  await createDatabase(cluster.url("postgres"), "house");
  ownerUrl = urlFor(cluster.url("postgres"), "house", ownerRole, "owner");
  await migrate(ownerUrl);
});
afterAll(() => cluster.stop());

const as = (url: string, sql: string) => withClient(url, (client) => client.query(sql));
const superuser = (sql: string) => as(cluster.url("house"), sql);

test("A17 a role without a way in is missing, except on the local stack", async () => {
  expect(await check(ownerUrl)).toContain("tollgate_worker may not log in (npm run deploy:init gives it a password)");
  expect(await check(ownerUrl, { local: true })).toEqual([]);
});

test("the Worker's role gets its way in with its limits, and a second time another password", async () => {
  for (const password of ["one's", "two"]) {
    await withClient(ownerUrl, (owner) => prepareWorkerRole(owner, password));
    const worker = urlFor(ownerUrl, "house", "tollgate_worker", password);
    const { rows } = await as(worker, "select name, setting || coalesce(unit, '') as value from pg_settings");
    const settings = Object.fromEntries(rows.map((row: { name: string; value: string }) => [row.name, row.value]));
    expect(settings).toMatchObject({
      statement_timeout: "8000ms",
      lock_timeout: "2000ms",
      idle_in_transaction_session_timeout: "10000ms",
      TimeZone: "UTC",
      search_path: '""',
    });
    await expect(as(worker, "insert into people.workspace values (uuidv7(), 'x', now())")).rejects.toThrow("denied");
  }
  await expect(as(urlFor(ownerUrl, "house", "tollgate_worker", "one's"), "select 1")).rejects.toThrow("password");
  expect(await check(ownerUrl)).toEqual([]);
});

/** Ways in which the role comes to be able to write, or its sessions to be unbounded; and the way back. */
const drifts: [what: string, drift: string, line: string, back: string][] = [
  [
    "a member of a group that may insert",
    "create role scribe; grant insert on ops.audit to scribe; grant scribe to tollgate_worker",
    "tollgate_worker is a member of scribe",
    "drop owned by scribe; drop role scribe",
  ],
  [
    "which it inherits",
    "create role scribe; grant insert on ops.audit to scribe; grant scribe to tollgate_worker",
    "tollgate_worker may INSERT on ops.audit",
    "drop owned by scribe; drop role scribe",
  ],
  [
    "a member by SET ROLE alone",
    "grant pg_write_all_data to tollgate_worker with inherit false",
    "tollgate_worker is a member of pg_write_all_data",
    "revoke pg_write_all_data from tollgate_worker",
  ],
  [
    "made in Neon's console",
    "create role neon_superuser; grant pg_write_all_data to neon_superuser; grant neon_superuser to tollgate_worker",
    "tollgate_worker may DELETE on ledger.lot",
    "drop role neon_superuser",
  ],
  [
    "a superuser",
    "alter role tollgate_worker superuser",
    "tollgate_worker has the attribute SUPERUSER",
    "alter role tollgate_worker nosuperuser",
  ],
  [
    "a maker of roles",
    "alter role tollgate_worker createrole",
    "tollgate_worker has the attribute CREATEROLE",
    "alter role tollgate_worker nocreaterole",
  ],
  [
    "a maker of databases",
    "alter role tollgate_worker createdb",
    "tollgate_worker has the attribute CREATEDB",
    "alter role tollgate_worker nocreatedb",
  ],
  [
    "a maker of schemas",
    "grant create on database house to tollgate_worker",
    "tollgate_worker may create schemas in this database",
    "revoke create on database house from tollgate_worker",
  ],
  [
    "a maker of temporary objects, as in every new database",
    "grant temporary on database house to public",
    "tollgate_worker may make temporary objects (revoke temporary on database house from public)",
    "revoke temporary on database house from public",
  ],
  [
    "unbounded statements",
    "alter role tollgate_worker reset statement_timeout",
    'tollgate_worker: statement_timeout is not set, not "8s"',
    "alter role tollgate_worker set statement_timeout = '8s'",
  ],
  [
    "longer waits in this database",
    "alter role tollgate_worker in database house set lock_timeout = '1min'",
    'tollgate_worker: lock_timeout is "1min", not "2s"',
    "alter role tollgate_worker in database house reset lock_timeout",
  ],
  [
    "in sessions that see no fresh snapshot",
    "alter role tollgate_worker set default_transaction_isolation = 'repeatable read'",
    'tollgate_worker: default_transaction_isolation is "repeatable read"',
    "alter role tollgate_worker reset default_transaction_isolation",
  ],
  [
    "in a database that answers before it has written",
    "alter database house set synchronous_commit = off",
    'this database: synchronous_commit is "off"',
    "alter database house reset synchronous_commit",
  ],
  [
    "in a database whose triggers sleep",
    "alter role tollgate_worker in database house set session_replication_role = 'replica'",
    'tollgate_worker in this database: session_replication_role is "replica"',
    "alter role tollgate_worker in database house reset session_replication_role",
  ],
  [
    "a search_path",
    "alter role tollgate_worker set search_path = public",
    'tollgate_worker: search_path is "public", not ""',
    "alter role tollgate_worker set search_path = ''",
  ],
];

test.each(drifts)(
  "A17 the Worker's role is %s: the check says so, and deploy:init refuses what may write",
  async (_, drift, line, back) => {
    await superuser(drift);
    try {
      expect(await check(ownerUrl)).toContain(line);
      if (!line.includes(": ")) {
        await expect(withClient(ownerUrl, (owner) => prepareWorkerRole(owner, "unused"))).rejects.toThrow(line);
      }
    } finally {
      await superuser(back);
    }
    expect(await check(ownerUrl)).toEqual([]);
  },
);

test("the next run of the migrations takes from PUBLIC what a copied or restored database gave it again", async () => {
  await superuser("grant temporary on database house to public");
  expect((await migrate(ownerUrl)).applied).toEqual([]);
  expect(await check(ownerUrl)).toEqual([]);
});
