import { describe, expect } from "vitest";
import { ensureOperatorKey, newKey } from "../world/operator-key.ts";
import { Envelope, onPool, throughBridge } from "../support/envelope.ts";
import { ApiClient } from "../support/model-api.ts";
import { ModelClient, preparePayments } from "../support/model-client.ts";
import { followHistories } from "../support/model-histories.ts";
import { call } from "../support/scenario.ts";
import { test, testRoutines } from "./arena.ts";

// Random histories of several workspaces at once, each in an order of its own, with time passing, sweeps, requests that
// come twice at once or late, keys that are used again, and a database that fails in every way of PITFALLS. Every answer
// is held against the model's (test/support/model.ts). The seed is printed; SEED=… repeats a run, RUNS=… makes it longer.

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
const runs = (usual: number) => Number(process.env["RUNS"] ?? usual);

describe("every answer is the model's", () => {
  test("A11 A12 through the Worker, whatever fails", { timeout: 600_000 }, async ({ api, db, bridge, world }) => {
    await preparePayments(db);
    const envelope = new Envelope(world.operatorKey, throughBridge(world));
    const client = async () => new ApiClient(api, await api.workspace(), envelope, db);
    bridge.resetCounters();
    const { calls } = await followHistories({ db, bridge, client }, seed, runs(16));
    const { requests, faults } = bridge.counters;
    console.info(`${calls} calls, ${requests} sends, ${faults} of them failed`);
    expect(faults).toBeGreaterThan(0);
  });

  testRoutines("A12 in the envelope alone, at length", { timeout: 600_000 }, async ({ db }) => {
    await preparePayments(db);
    const key = await newKey();
    await ensureOperatorKey(db, key, "test");
    const envelope = new Envelope(key, onPool(db));
    const client = async () => {
      const { id } = await call<{ id: string }>(db, "people.create_workspace", { name: "model", caused_by: "test" });
      return new ModelClient(id, envelope, db);
    };
    await followHistories({ db, client }, seed, runs(60));
  });
});
