import { neon, neonConfig } from "@neondatabase/serverless";
import type { Pool } from "pg";
import { expect, test as plain } from "vitest";
import { startBridge } from "../world/bridge.ts";
import type { Bridge, BridgeOptions } from "../world/bridge.ts";
import { createEmptyDatabase } from "./database.ts";
import type { TestDatabase } from "./database.ts";

/** A bridge before a database that has nothing in it, and Neon's own driver (`sql`) on it as superuser. */
export const test = plain
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("database", { scope: "file" }, async ({}, { onCleanup }) => {
    const database = await createEmptyDatabase();
    onCleanup(() => database.drop());
    return database;
  })
  .extend("bridge", { scope: "file" }, async ({ database }, { onCleanup }) => {
    const bridge = await bridgeTo(database);
    neonConfig.fetchEndpoint = bridge.url;
    onCleanup(() => bridge.stop());
    return bridge;
  })
  .extend("sql", { scope: "file" }, ({ database, bridge }) => {
    expect(bridge.port).toBeGreaterThan(0);
    return neon(database.superuserUrl);
  })
  /** A statement that has no end but another's: it waits for a lock that is held for as long as the test lasts. */
  .extend("endless", async ({ database }, { onCleanup }) => {
    const gate = await database.owner.connect();
    // With its connection the lock goes.
    onCleanup(() => gate.release(true));
    await gate.query("select pg_advisory_lock(600)");
    return "select pg_advisory_xact_lock(600)";
  });

/** Starts another bridge before a test's database. */
export async function bridgeTo(database: TestDatabase, options: Omit<BridgeOptions, "target"> = {}): Promise<Bridge> {
  const { hostname, port } = new URL(database.superuserUrl);
  return await startBridge({ ...options, target: { host: hostname, port: Number(port) } });
}

/** A request without the driver, for what the driver does not send or does not show. */
export async function ask(
  url: string,
  connection: string | undefined,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; body: { [name: string]: unknown } }> {
  const answer = await fetch(url, {
    method: "POST",
    body,
    headers: { ...(connection === undefined ? {} : { "Neon-Connection-String": connection }), ...headers },
  });
  return { status: answer.status, headers: answer.headers, body: JSON.parse(await answer.text()) };
}

/** How many backends run a query that begins so. */
export async function running(owner: Pool, query: string): Promise<number | undefined> {
  const found = await owner.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where state = 'active' and starts_with(query, $1)",
    [query],
  );
  return found.rows[0]?.n;
}

/** How many backends wait for a lock in a query that begins so. */
export async function waitingForLock(owner: Pool, query: string): Promise<number | undefined> {
  const found = await owner.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and starts_with(query, $1)",
    [query],
  );
  return found.rows[0]?.n;
}
