import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Client } from "pg";
import { DatabaseError } from "pg";
import { projectRoot, runAsCommand } from "./command.ts";
import { databaseUrl, withClient } from "./connect.ts";
import { readMigrations, touched } from "./history.ts";
import type { Migration } from "./history.ts";
import { makeWorkerRole, withholdTemporary } from "./role.ts";

export interface MigrateOptions {
  /** Told of each file that is applied. */
  log?: (line: string) => void;
  /** Another folder than this project's `migrations`. */
  directory?: string;
}

/** A history that cannot be continued, or a file that failed. Nothing of that file is in the database. */
export class MigrationError extends Error {}

/**
 * Brings a database to the newest migration: each file in one transaction, recorded by name and SHA-256 in
 * `ops.migration`. Any number may run at once: each waits for the others, and finds the file done.
 */
export async function migrate(
  connectionString: string,
  { log, directory = join(projectRoot, "migrations") }: MigrateOptions = {},
): Promise<{ applied: string[] }> {
  const migrations = readMigrations(directory);
  return withClient(connectionString, async (client) => {
    await inTransaction(client, () => prepare(client));
    const applied: string[] = [];
    for (;;) {
      const name = await inTransaction(client, () => applyNext(client, migrations));
      if (name === null) {
        return { applied };
      }
      log?.(`applied ${name}`);
      applied.push(name);
    }
  });
}

/** What `ops.migration` says was applied. */
export async function appliedMigrations(client: Client): Promise<{ name: string; sha256: string }[]> {
  const { rows } = await client.query<{ name: string; sha256: string }>(
    `select name, sha256 from ops.migration order by name collate "C"`,
  );
  return rows;
}

/**
 * What is to be applied next, and in which order. Throws if the files are not a continuation of what was applied.
 *
 * A file that was merged late (it comes before one that is applied) is applied, not skipped: two databases that got the
 * two branches in different orders must both arrive. But only if no file after it touches the same things: else the
 * outcome would depend on the order, and this database would differ from one that is made from zero.
 */
export function pending(migrations: Migration[], applied: { name: string; sha256: string }[]): Migration[] {
  const files = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const { name, sha256 } of applied) {
    const file = files.get(name);
    if (file === undefined) {
      const renamed = migrations.find((migration) => migration.sha256 === sha256);
      throw new MigrationError(
        `${name} was applied to this database, but is not in migrations/. ` +
          (renamed === undefined ? "Is this checkout older than the database?" : `Is it now ${renamed.name}?`),
      );
    }
    if (file.sha256 !== sha256) {
      throw new MigrationError(`${name} was edited after it was applied to this database. Write a new migration.`);
    }
  }
  const done = new Set(applied.map((row) => row.name));
  const rest = migrations.filter((migration) => !done.has(migration.name));
  for (const late of rest) {
    for (const after of migrations.filter((one) => done.has(one.name) && one.name > late.name)) {
      const shared = common(late, after);
      if (shared !== null) {
        throw new MigrationError(
          `${late.name} was merged late: ${after.name}, which comes after it, is applied, and both touch ${shared}. ` +
            "Give the late one the next free number (git mv), and run npm run db:generate.",
        );
      }
    }
  }
  return rest;
}

function common(late: Migration, after: Migration): string | null {
  const [mine, theirs] = [touched(late), touched(after)];
  if (mine.size === 0 || theirs.size === 0) {
    // One that does not say what it touches may touch anything.
    return "what only a reader can tell";
  }
  return [...mine].find((thing) => theirs.has(thing)) ?? null;
}

/** Makes the ledger and the role, which the migrations themselves need. Expects to be alone (`inTransaction`). */
export async function prepare(client: Client): Promise<void> {
  await client.query(`create schema if not exists ops`);
  await client.query(
    `create table if not exists ops.migration (
       name text constraint migration_pk primary key,
       sha256 text not null constraint migration_sha256_is_sha256 check (sha256 ~ '^[0-9a-f]{64}$'),
       applied_at timestamptz not null default clock_timestamp()
     )`,
  );
  await makeWorkerRole(client);
  await withholdTemporary(client);
}

/** Applies the first file that is not applied yet, whoever applied the ones before; null: there is none. */
async function applyNext(client: Client, migrations: Migration[]): Promise<string | null> {
  const [migration] = pending(migrations, await appliedMigrations(client));
  if (migration === undefined) {
    return null;
  }
  // A lock that is waited for makes everybody else wait behind it: no longer than the Worker's own lock_timeout.
  await client.query(`set local lock_timeout = '2s'`);
  try {
    await client.query(migration.text);
  } catch (error) {
    throw new MigrationError(`${where(migration, error)}: ${reason(error)}\nNothing of this file was applied.`, {
      cause: error,
    });
  }
  await client.query(`insert into ops.migration (name, sha256) values ($1, $2)`, [migration.name, migration.sha256]);
  return migration.name;
}

/**
 * One transaction, alone in this database among runners. The lock ends with the transaction: one that outlives it would
 * stay behind on a pooled connection, and for ever.
 */
async function inTransaction<T>(client: Client, work: () => Promise<T>): Promise<T> {
  await client.query(
    `begin isolation level read committed;
     set local search_path = '';
     set local timezone = 'UTC';
     set local client_min_messages = 'warning';
     set local statement_timeout = 0;
     set local lock_timeout = 0;
     set local idle_in_transaction_session_timeout = 0;
     select pg_advisory_xact_lock(hashtextextended('tollgate migrations', 0))`,
  );
  try {
    const result = await work();
    await client.query("commit");
    return result;
  } catch (error) {
    // If the connection is gone, so is the transaction, and the first error is the one to tell.
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}

function where({ name, text }: Migration, error: unknown): string {
  if (!(error instanceof DatabaseError) || error.position === undefined) {
    return `migrations/${name}`;
  }
  // Postgres counts characters from 1, not UTF-16 units.
  const before = Array.from(text).slice(0, Number(error.position) - 1);
  const lines = before.join("").split("\n");
  const line = text.split("\n")[lines.length - 1] ?? "";
  return `migrations/${name}:${lines.length}:${(lines.at(-1)?.length ?? 0) + 1} (${line.trim().slice(0, 120)})`;
}

function reason(error: unknown): string {
  if (!(error instanceof DatabaseError)) {
    return String(error);
  }
  const more = [error.detail, error.hint, error.where].filter((line) => line !== undefined);
  const busy = error.code === "55P03" ? ["Somebody holds the table; run it again."] : [];
  return [`${error.message} (${error.code})`, ...more, ...busy].join("\n  ");
}

runAsCommand(import.meta, async () => {
  const { positionals } = parseArgs({ allowPositionals: true });
  const { applied } = await migrate(databaseUrl(positionals[0]), { log: console.log });
  console.log(applied.length === 0 ? "Nothing to apply." : `${applied.length} applied.`);
});
