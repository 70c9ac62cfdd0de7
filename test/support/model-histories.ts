import * as fc from "fast-check";
import { expect } from "vitest";
import type { Bridge } from "../world/bridge.ts";
import { race } from "./barrier.ts";
import { act, concrete } from "./model-acts.ts";
import type { Act, Wish } from "./model-acts.ts";
import type { ModelClient, Request } from "./model-client.ts";
import { Model } from "./model.ts";
import type { Operation } from "./model.ts";
import { advance, call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** How many workspaces a history has. */
const workspaces = 3;

/** What the workspaces do beside each other; then how many hours pass, and whether the sweeps run. */
const round = fc.record({
  acts: fc.array(fc.array(act, { maxLength: 6, size: "max" }), { minLength: workspaces, maxLength: workspaces }),
  hours: fc.nat({ max: 2 }),
  sweep: fc.boolean(),
});
type Round = typeof round extends fc.Arbitrary<infer Value> ? Value : never;

const history = fc.array(round, { minLength: 1, maxLength: 10, size: "max" });

/** Where histories happen. Without a bridge, no fault is done. */
export interface Stage {
  db: Db;
  bridge?: Bridge;
  /** A client of a new workspace's. */
  client: () => Promise<ModelClient>;
}

/** What was done, for the record. */
export interface Counts {
  histories: number;
  calls: number;
}

/**
 * Follows `runs` random histories, and throws at the first answer that is not the model's, with the shortest history that
 * gives it. Time passes for all workspaces at once; each one's acts come in their order, beside the others'.
 */
export async function followHistories(stage: Stage, seed: number, runs: number): Promise<Counts> {
  const counts = { histories: 0, calls: 0 };
  const property = fc.asyncProperty(history, (rounds) => follow(stage, rounds, counts));
  try {
    await fc.assert(property, { seed, numRuns: runs });
  } finally {
    console.info(`SEED=${seed}: ${JSON.stringify(counts)}`);
  }
  return counts;
}

async function follow({ db, bridge, client }: Stage, rounds: Round[], counts: Counts): Promise<void> {
  counts.histories += 1;
  bridge?.faults.clear();
  await sweepHolds(db);
  const pairs = await race(workspaces, async () => new Pair(await client(), bridge));
  for (const { acts, hours, sweep } of rounds) {
    const offset_ms = await offsetOf(db);
    // Lots may be swept at any time: what has expired is not there, swept or not.
    const sweeping = sweep ? call(db, "ledger.lots_expire", { batch: 100 }) : undefined;
    await race(workspaces, async (i) => {
      for (const each of acts[i] ?? []) counts.calls += (await pairs[i]?.act(each, offset_ms)) ?? 0;
    });
    await sweeping;
    bridge?.faults.clear();
    await advance(db, `${hours} hours`);
    for (const { model } of pairs) model.advance(hours);
    if (sweep) {
      await sweepHolds(db);
      for (const { model } of pairs) model.sweep();
    }
    for (const pair of pairs) await pair.compare();
  }
  for (const pair of pairs) expect(await pair.verified()).toBe(true);
}

interface Sent {
  key: string;
  operation: Operation;
  request: Request;
  /** The first answer that did something, which every later one must equal. */
  first?: unknown;
}

/** One workspace beside its model. */
class Pair {
  readonly model = new Model();
  readonly #client: ModelClient;
  readonly #bridge: Bridge | undefined;
  readonly #sent: Sent[] = [];

  constructor(client: ModelClient, bridge: Bridge | undefined) {
    this.#client = client;
    this.#bridge = bridge;
  }

  /** Has an act done by both, and holds what was heard against what the model says. Answers how many calls it took. */
  async act({ wish, reuse, copies, faults }: Act, offset_ms: number): Promise<number> {
    const sent = await this.#sending(wish, reuse, offset_ms);
    for (const fault of faults) this.#bridge?.faults.next({ ...fault, match: "ops.admit(" });
    const before = this.#bridge?.counters.faults;
    const heard = await race(copies, () => sent.request());
    const { outcome, replayed } = this.model.apply(sent.key, sent.operation);
    for (const each of heard) {
      expect(each.outcome, `${sent.key} ${JSON.stringify(sent.operation)}`).toEqual(outcome);
      if (outcome.code === undefined) expect(each.raw).toEqual((sent.first ??= each.raw));
    }
    // A client that repeats after a 503 hears a replay of its own; the faults may have been meant for a neighbour.
    if (outcome.code === undefined && this.#bridge?.counters.faults === before) {
      expect(heard.filter((each) => !each.replayed)).toHaveLength(replayed ? 0 : 1);
    }
    return copies;
  }

  async compare(): Promise<void> {
    expect(await this.#client.balance()).toEqual(this.model.balance());
    expect(await this.#client.holds()).toEqual(this.model.holds());
  }

  verified(): Promise<boolean> {
    return this.#client.verified();
  }

  async #sending(wish: Wish, reuse: number | null, offset_ms: number): Promise<Sent> {
    const used = this.#sent[(reuse ?? ("which" in wish ? wish.which : 0)) % (this.#sent.length || 1)];
    if (wish.kind === "again" && used !== undefined) return used;
    const operation = concrete(wish.kind === "again" ? { kind: "release", which: 0 } : wish, this.model);
    const fresh = wish.kind === "spend" && wish.item !== null ? `item-${wish.item}` : `key-${this.#sent.length}`;
    const key = reuse === null || used === undefined ? fresh : used.key;
    // The same call under a key that it has had is the same request, to the byte.
    const text = JSON.stringify(operation);
    const same = this.#sent.find((each) => each.key === key && JSON.stringify(each.operation) === text);
    if (same !== undefined) return same;
    const instant = (hour: number) => {
      const ms = Date.now() + offset_ms + (hour - this.model.hour) * 3_600_000 + 1_800_000;
      return new Date(ms).toISOString();
    };
    const sent = { key, operation, request: await this.#client.request(key, operation, instant) };
    this.#sent.push(sent);
    return sent;
  }
}

/** Ends every hold that is due, the oldest first; one sweep at a time, since the model knows one order only. */
async function sweepHolds(db: Db): Promise<void> {
  for (let more = true; more;) ({ more } = await call<{ more: boolean }>(db, "ledger.holds_expire", { batch: 100 }));
}

async function offsetOf(db: Db): Promise<number> {
  const [row] = await rows<{ ms: number }>(
    db,
    "select (extract(epoch from clock_offset) * 1000)::bigint as ms from ops.clock",
  );
  return row?.ms ?? 0;
}
