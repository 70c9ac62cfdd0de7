import { Pool } from "pg";
import { expect } from "vitest";
import { rowLocks } from "../../db/tool/facts.ts";
import { Api } from "../support/api.ts";
import type { Answer } from "../support/api.ts";
import { until } from "../support/barrier.ts";
import type { TestDatabase } from "../support/database.ts";
import { assertInvariants } from "../support/invariants.ts";
import { test as inSql } from "../support/sql.ts";
import { test as inWorld } from "../support/world.ts";
import type { LogLine } from "../world/worker.ts";
import { withClient } from "../world/roles.ts";

/**
 * `test` for races through the Worker: a world of the file's own, and what every race owes. The engine must keep row locks
 * (A16); after each test the invariants hold; in the whole file Postgres never had to end a deadlock (B14), and the
 * Worker never failed. `db` is a pool of the owner's role with a connection for each racer.
 */
export const test = inWorld
  .extend("db", { scope: "file" }, ({ world }, { onCleanup }) => {
    const pool = racers(world.database);
    onCleanup(() => pool.end());
    return pool;
  })
  .extend("engine", { scope: "file", auto: true }, ({ world }) => keepsRowLocks(world.database.ownerUrl))
  .extend("calm", { scope: "file", auto: true }, ({ world }, { onCleanup }) => {
    onCleanup(async () => {
      expect(failures(world.worker.logs)).toEqual([]);
      expect(await deadlocks(world.database)).toBe(0);
    });
    return true;
  })
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  .extend("invariants", { auto: true }, ({ db }, { onCleanup }) => {
    onCleanup(() => assertInvariants(db));
    return true;
  });

/** The same for races of the routines themselves, on connections of their own and without a Worker. */
export const testRoutines = inSql
  .extend("db", { scope: "file" }, ({ database }, { onCleanup }) => {
    const pool = racers(database);
    onCleanup(() => pool.end());
    return pool;
  })
  .extend("engine", { scope: "file", auto: true }, ({ database }) => keepsRowLocks(database.ownerUrl))
  .extend("calm", { scope: "file", auto: true }, ({ database }, { onCleanup }) => {
    onCleanup(async () => expect(await deadlocks(database)).toBe(0));
    return true;
  });

function racers({ ownerUrl }: TestDatabase): Pool {
  const pool = new Pool({ connectionString: ownerUrl, max: 60 });
  pool.on("error", () => undefined);
  return pool;
}

/** Fails loudly where a race would prove nothing: an engine that parses `for update` and does nothing. */
async function keepsRowLocks(ownerUrl: string): Promise<boolean> {
  const { rows } = await withClient(ownerUrl, (client) => client.query<{ version: string }>("select version()"));
  expect(rows[0]?.version).toMatch(/^PostgreSQL /);
  expect(await rowLocks(ownerUrl)).toEqual([]);
  return true;
}

/**
 * How many deadlocks Postgres has ended in this database. A backend tells its counts at the latest when it ends, so all
 * of them are ended first.
 */
export async function deadlocks({ superuserUrl, name }: TestDatabase): Promise<number> {
  return await withClient(superuserUrl.replace(/\/[^/]*$/, "/postgres"), async (client) => {
    await until("every backend has ended", async () => {
      const left = await client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and backend_type = 'client backend'",
        [name],
      );
      return left.rowCount === 0;
    });
    const found = await client.query<{ deadlocks: string }>(
      "select deadlocks from pg_stat_database where datname = $1",
      [name],
    );
    return Number(found.rows[0]?.deadlocks);
  });
}

/** What the Worker failed at. A 503 is no failure: it says what a fault, which only a test makes, did to it. */
export function failures(logs: readonly LogLine[]): string[] {
  return logs
    .filter(({ level, message }) => level === "error" && !message.includes('"status":503'))
    .map(({ message }) => message.slice(0, 500));
}

/** An answer in a word: its status, and its code where it is a problem. */
export function word({ status, body }: Answer): string {
  return status < 400 ? String(status) : `${status} ${String(body["code"])}`;
}

/** 0 to n − 1, to go through rounds. */
export function times(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
