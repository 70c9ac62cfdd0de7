import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { Account, advance, call, outcome } from "../support/scenario.ts";
import { createTestDatabase } from "../support/database.ts";
import { blockedBackends } from "../support/barrier.ts";
import { deadlocks, testRoutines as test, times } from "./arena.ts";

// B14: locks are taken in one order, request → hold → account → lot. Every routine of the ledger is set against every other
// one, on the same owners and on each other's. That Postgres ended no deadlock is asserted for the whole file (arena.ts):
// the Worker repeats a 40P01 silently, so answers would not show one.

/** What a routine may say here; everything else, above all 40P01 and 55P03, is a failure. */
const refusals = new Set([
  "done",
  "insufficient_credits",
  "hold_ended",
  "amount_exceeds_hold",
  "transaction_reversed",
  "idempotency_key_reused",
]);

const strange = (outcomes: string[]) => Object.keys(tally(outcomes)).filter((what) => !refusals.has(what));

const sweep = (db: Pool, name: string, batch: number) => call(db, name, { batch });

/** An owner with a payment, two pools, seats, spends to reverse, and holds of which some are due. */
async function owner(db: Pool): Promise<Scene> {
  const account = new Account(db);
  const payment = account.owner;
  await account.grant(200, { pool: "subscription", expires_in: "30 minutes", payment });
  await account.grant(200, { payment });
  await account.grant(200, { expires_in: "90 minutes" });
  await account.in("seat").setLimit(100);
  const spent: string[] = [];
  const holds: string[] = [];
  for (const i of times(8)) {
    spent.push((await account.spend(1 + i)).transaction_id);
    holds.push((await account.hold(1 + i, { expires_in: i % 2 === 0 ? "10 minutes" : "1 day" })).id);
  }
  return { account, payment, spent, holds };
}

interface Scene {
  account: Account;
  payment: string;
  spent: string[];
  holds: string[];
}

/** Every routine of the ledger, the i-th time, by what it does. */
const moves: Record<string, (scene: Scene, i: number) => Promise<unknown>> = {
  spend: ({ account }, i) => account.spend(1 + (i % 5)),
  batch: ({ account }, i) => account.spendMany(times(6).map((n) => ({ key: `batch-${(i + n) % 40}`, amount: 1 }))),
  hold: ({ account }, i) => account.hold(1 + (i % 5), { expires_in: "1 minute" }),
  settle: ({ account, holds }, i) => account.settle(holds[i % 8] ?? "", 1),
  release: ({ account, holds }, i) => account.release(holds[i % 8] ?? ""),
  grant: ({ account }, i) => account.grant(1 + (i % 9), i % 2 === 0 ? {} : { expires_in: "20 minutes" }),
  reset: ({ account }, i) => account.reset(50 + i),
  adjust: ({ account }, i) => account.adjust(i % 2 === 0 ? 3 : -3),
  reverse: ({ account, spent }, i) => account.reverse(spent[i % 8] ?? ""),
  take_back: ({ account, payment }, i) => account.takeBack(payment, { refunded: (i * 7) % 101, lost: (i * 3) % 50 }),
  set_limit: ({ account }, i) => account.in("seat").setLimit(80 + (i % 40)),
  seat: ({ account }, i) => account.in("seat").hold(1 + (i % 3), { expires_in: "1 minute" }),
  holds_expire: ({ account: { db } }, i) => sweep(pool(db), "ledger.holds_expire", 1 + (i % 30)),
  lots_expire: ({ account: { db } }, i) => sweep(pool(db), "ledger.lots_expire", 1 + (i % 30)),
  clock: ({ account: { db } }) => advance(db, "61 seconds"),
};

function pool(db: Account["db"]): Pool {
  if (!("idleCount" in db)) throw new Error("not a pool");
  return db;
}

test("B14 every routine against every other, over the same four owners: six rounds of 180 calls", async ({ db }) => {
  const names = Object.keys(moves);
  for (const round of times(6)) {
    const scenes = await race(4, () => owner(db));
    await advance(db, "11 minutes");
    const outcomes = await race(180, (i) => {
      const [name, scene] = [names[(i * 7 + round) % names.length] ?? "", scenes[(i + Math.floor(i / 15)) % 4]];
      if (scene === undefined) throw new Error("there is nobody");
      return outcome(moves[name]?.(scene, i + round) ?? Promise.reject(new Error(name)));
    });
    expect(strange(outcomes), `round ${round}`).toEqual([]);
    expect(tally(outcomes)["done"]).toBeGreaterThan(60);
  }
});

describe("pairs that could oppose each other", () => {
  const pairs: [string, string][] = [
    ["settle", "holds_expire"],
    ["release", "take_back"],
    ["holds_expire", "lots_expire"],
    ["holds_expire", "holds_expire"],
    ["reset", "take_back"],
    ["reverse", "settle"],
    ["batch", "batch"],
    ["set_limit", "seat"],
    ["spend", "lots_expire"],
  ];

  test.for(pairs)("B14 %s against %s", async ([one, other], { db }) => {
    const scenes = await race(3, () => owner(db));
    await advance(db, "45 minutes");
    const outcomes = await race(60, (i) => {
      const [name, scene] = [i % 2 === 0 ? one : other, scenes[i % 3]];
      if (scene === undefined) throw new Error("there is nobody");
      return outcome(moves[name]?.(scene, i) ?? Promise.reject(new Error(name)));
    });
    expect(strange(outcomes)).toEqual([]);
  });
});

test("B14 batches of two units that name the same keys in opposite orders", async ({ db }) => {
  for (const round of times(10)) {
    const account = new Account(db);
    await account.grant(1000);
    await account.in("seat").setLimit(1000);
    const items = times(30).map((i) => ({ key: `${round}-${i}`, amount: 1 }));
    const done = await race(4, (i) =>
      i % 2 === 0 ? account.spendMany(items) : account.in("seat").spendMany(items.toReversed()),
    );
    // A key is the owner's, in whatever unit: whoever came first has all of them.
    const spent = done.flatMap(({ outcomes }) => outcomes.filter((what) => what === "spent"));
    expect(spent).toHaveLength(30);
  }
});

test("B14 a deadlock that Postgres ended would be counted", async () => {
  const other = await createTestDatabase();
  try {
    await other.owner.query("create table public.pair as select generate_series(1, 2) as id");
    const [one, two] = [await other.owner.connect(), await other.owner.connect()];
    const lock = (id: number) => ({ text: "select from public.pair where id = $1 for update", values: [id] });
    await one.query("begin");
    await two.query("begin");
    await one.query(lock(1));
    await two.query(lock(2));
    const waiting = one.query(lock(2));
    await blockedBackends(other.owner, 1);
    const outcomes = await Promise.allSettled([waiting, two.query(lock(1))]);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    one.release(true);
    two.release(true);
    expect(await deadlocks(other)).toBe(1);
  } finally {
    await other.drop();
  }
});
