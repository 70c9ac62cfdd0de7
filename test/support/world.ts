import { test as plain } from "vitest";
import { startBridge } from "../world/bridge.ts";
import type { Bridge } from "../world/bridge.ts";
import { ensureOperatorKey, newKey } from "../world/operator-key.ts";
import type { RunningWorker } from "../world/worker.ts";
import { createTestDatabase } from "./database.ts";
import type { TestDatabase } from "./database.ts";
import { assertInvariants } from "./invariants.ts";
import { startTestWorker } from "./worker.ts";

/** All of Tollgate for one test file: a database of its own, the bridge before it, and the Worker in workerd. */
export interface World {
  database: TestDatabase;
  bridge: Bridge;
  worker: RunningWorker;
  /** The Worker's `http://127.0.0.1:<port>`. */
  url: string;
  /** A key that may do all that an operator's may. */
  operatorKey: string;
  /** Runs the cron once, and resolves when it has run. */
  tick(): Promise<void>;
  /** Another Worker at the same database, with bindings besides: Stripe's, say. It stops with the world. */
  another(bindings: Readonly<Record<string, string>>): Promise<RunningWorker>;
  stop(): Promise<void>;
}

async function startWorld(): Promise<World> {
  const database = await createTestDatabase();
  const { port, hostname } = new URL(database.workerUrl);
  const bridge = await startBridge({ target: { host: hostname, port: Number(port) } });
  const operatorKey = await newKey();
  await ensureOperatorKey(database.owner, operatorKey, "test");
  const worker = await startTestWorker(database.workerUrl, bridge.url);
  const workers = [worker];
  return {
    database,
    bridge,
    worker,
    url: worker.url,
    operatorKey,
    tick: () => worker.tick(),
    another: async (bindings) => {
      const made = await startTestWorker(database.workerUrl, bridge.url, bindings);
      workers.push(made);
      return made;
    },
    stop: async () => {
      await Promise.all(workers.map((running) => running.stop()));
      await bridge.stop();
      await database.drop();
    },
  };
}

/**
 * `test` with a world of the file's own: `test("…", async ({ world, db }) => …)`. `db` is a pool of the owner's role.
 * Faults that a test left are cleared before the next, and after each the invariants must hold over the whole database.
 */
export const test = plain
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("world", { scope: "file" }, async ({}, { onCleanup }) => {
    const world = await startWorld();
    onCleanup(() => world.stop());
    return world;
  })
  .extend("db", { scope: "file" }, ({ world }) => world.database.owner)
  .extend("bridge", ({ world }, { onCleanup }) => {
    onCleanup(() => world.bridge.faults.clear());
    return world.bridge;
  })
  .extend("invariants", { auto: true }, ({ db }, { onCleanup }) => {
    onCleanup(() => assertInvariants(db));
    return true;
  });
