import { randomBytes } from "node:crypto";
import { Pool } from "pg";
import type { Client } from "pg";
import { inject } from "vitest";
import { migrate } from "../../db/tool/migrate.ts";
import { prepareWorkerRole, withholdTemporary } from "../../db/tool/role.ts";
import { createDatabase, ownerRole, urlFor, withClient, workerRole } from "../world/roles.ts";
import { oncePerRun } from "./once.ts";

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

/** Makes a migrated database: a copy of the run's template, which the first caller migrates. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { superuserUrl } = inject("postgres");
  await makeTemplateOnce();
  const name = newName();
  await withClient(superuserUrl, (client) =>
    client.query(`create database ${name} template ${template} owner ${ownerRole}`),
  );
  // A copy has the template's schema, and a new database's privileges.
  await withClient(urlFor(superuserUrl, name), withholdTemporary);
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

/** A template is whole when it is closed to connections, which copying it needs too. */
async function makeTemplateOnce(): Promise<void> {
  const { superuserUrl, ownerPassword, workerPassword } = inject("postgres");
  const isWhole = async (client: Client): Promise<boolean> => {
    const found = await client.query("select from pg_database where datname = $1 and not datallowconn", [template]);
    return found.rowCount === 1;
  };
  await oncePerRun(template, isWhole, async (client) => {
    await client.query(`drop database if exists ${template} with (force)`);
    await createDatabase(superuserUrl, template);
    const ownerUrl = urlFor(superuserUrl, template, ownerRole, ownerPassword);
    await migrate(ownerUrl);
    await withClient(ownerUrl, (owner) => prepareWorkerRole(owner, workerPassword));
    await client.query(`alter database ${template} with is_template true allow_connections false`);
  });
}
