import { randomBytes } from "node:crypto";
import { Pool } from "pg";
import { inject } from "vitest";
import { migrate } from "../../db/tool/migrate.ts";
import { prepareWorkerRole } from "../../db/tool/role.ts";
import { createDatabase, ownerRole, urlFor, withClient, workerRole } from "../world/roles.ts";

/** A database of one test file's own, with the whole schema in it and nobody else's rows. */
export interface TestDatabase {
  name: string;
  superuserUrl: string;
  ownerUrl: string;
  workerUrl: string;
  /** Connections of the owner's role: it may read and write every table, which the Worker's may not. */
  owner: Pool;
  /** Ends the owner's connections, throws everybody else out and drops the database. */
  drop(): Promise<void>;
}

const template = "tollgate_template";

/** Any number: it only has to be the same in every worker of the run. */
const templateLock = 7_460_001;

/** Makes a migrated database: a copy of the run's template, which the first caller migrates. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { superuserUrl } = inject("postgres");
  await makeTemplateOnce();
  const name = newName();
  await withClient(superuserUrl, (client) =>
    client.query(`create database ${name} template ${template} owner ${ownerRole}`),
  );
  return testDatabase(name);
}

/** Makes a database without any schema of ours. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const name = newName();
  await createDatabase(inject("postgres").superuserUrl, name);
  return testDatabase(name);
}

function newName(): string {
  return `test_${randomBytes(6).toString("hex")}`;
}

function testDatabase(name: string): TestDatabase {
  const { superuserUrl, ownerPassword, workerPassword } = inject("postgres");
  const ownerUrl = urlFor(superuserUrl, name, ownerRole, ownerPassword);
  const owner = new Pool({ connectionString: ownerUrl, max: 40 });
  // A test that ends a backend on purpose ends pooled connections too; their next use tells.
  owner.on("error", () => undefined);
  return {
    name,
    superuserUrl: urlFor(superuserUrl, name),
    ownerUrl,
    workerUrl: urlFor(superuserUrl, name, workerRole, workerPassword),
    owner,
    drop: async () => {
      await owner.end();
      await withClient(superuserUrl, (client) => client.query(`drop database if exists ${name} with (force)`));
    },
  };
}

/** Several workers ask at once and one migrates; the others wait at the lock. A template is whole when it is closed. */
async function makeTemplateOnce(): Promise<void> {
  const { superuserUrl, ownerPassword, workerPassword } = inject("postgres");
  await withClient(superuserUrl, async (client) => {
    await client.query("select pg_advisory_lock($1)", [templateLock]);
    const found = await client.query<{ whole: boolean }>(
      "select not datallowconn as whole from pg_database where datname = $1",
      [template],
    );
    if (found.rows[0]?.whole === true) {
      return;
    }
    await client.query(`drop database if exists ${template} with (force)`);
    await createDatabase(superuserUrl, template);
    const ownerUrl = urlFor(superuserUrl, template, ownerRole, ownerPassword);
    await migrate(ownerUrl);
    await withClient(ownerUrl, (owner) => prepareWorkerRole(owner, workerPassword));
    // Copying needs a template that nobody is connected to.
    await client.query(`alter database ${template} with is_template true allow_connections false`);
  });
}
