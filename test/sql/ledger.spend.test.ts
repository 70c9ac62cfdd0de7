import { describe, expect } from "vitest";
import { blockedBackends, race, raceBehind, tally } from "../support/barrier.ts";
import { Account, advance, outcome, refusal } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

const reused = (transaction_id: string) => ({ code: "idempotency_key_reused", transaction_id });

describe("A4 lots drain subscription first, then by soonest expiry, then oldest", () => {
  test("a spend that needs several shows each, and leaves the rest", async ({ account }) => {
    await account.grant(3);
    await account.grant(4, { pool: "promo", expires_in: "2 days" });
    await account.grant(5, { pool: "promo", expires_in: "1 day" });
    await account.grant(6, { pool: "subscription", expires_in: "30 days" });
    await account.grant(2);
    expect(await account.balance()).toMatchObject({
      pools: ["subscription", "promo", "promo", "bulk", "bulk"],
      pool_available: [6, 5, 4, 3, 2],
    });
    const spent = await account.spend(13);
    expect(spent).toMatchObject({
      amount: 13,
      drawn_pools: ["subscription", "promo", "promo"],
      drawn_amounts: [6, 5, 2],
      available: 7,
      pools: ["promo", "bulk", "bulk"],
      pool_available: [2, 3, 2],
    });
    expect(await account.entries(spent.transaction_id)).toEqual([
      ["available", -6],
      ["spent", 6],
      ["available", -5],
      ["spent", 5],
      ["available", -2],
      ["spent", 2],
    ]);
  });

  test("what it answers is what the account then has, whatever is used up", async ({ account }) => {
    for (const amount of [3, 1, 2, 5]) await account.grant(amount);
    for (const amount of [1, 2, 1, 3, 4]) {
      const { available, held, debt, pools, pool_available, pool_expires_at } = await account.spend(amount);
      expect({ available, held, debt, pools, pool_available, pool_expires_at }).toEqual(await account.balance());
    }
    expect(await account.sums()).toEqual([0, 0, 0]);
  });
});

describe("A12 never more than there is", () => {
  test("all of it or nothing, and the refusal says what there is", async ({ account }) => {
    await account.grant(5);
    expect(await refusal(account.spend(6))).toEqual({ code: "insufficient_credits", available: 5 });
    expect(await account.spend(5)).toMatchObject({ available: 0, pools: [] });
    expect(await refusal(account.spend(1))).toEqual({ code: "insufficient_credits", available: 0 });
  });

  test("an account that never was has nothing, and a refusal does not make it", async ({ db, account }) => {
    expect(await refusal(account.spend(1))).toEqual({ code: "insufficient_credits", available: 0 });
    const { rowCount } = await db.query("select from ledger.account where owner_id = $1", [account.owner]);
    expect(rowCount).toBe(0);
  });

  test("nothing, less than nothing and no number are no spend", async ({ account }) => {
    await account.grant(5);
    expect(await refusal(account.spend(0))).toMatchObject({ constraint: "transaction_balanced" });
    expect(await refusal(account.spend(-5))).toMatchObject({ sqlstate: "23514" });
    expect(await outcome(account.spend(NaN))).toBe("22P02");
    expect(await account.sums()).toEqual([5, 0, 0]);
  });

  test("another unit's and another owner's credits are not there", async ({ db, account }) => {
    await account.grant(5);
    expect(await refusal(account.in("seat").spend(1))).toMatchObject({ available: 0 });
    expect(await refusal(new Account(db).spend(1))).toMatchObject({ available: 0 });
  });
});

describe("A2 spends at once", () => {
  test("ten credits, twenty spenders who wait for one row: ten spend, ten are refused", async ({ db, account }) => {
    await account.grant(10);
    const outcomes = await raceBehind(db, account.lock, 20, () => outcome(account.spend(1)));
    expect(tally(outcomes)).toEqual({ done: 10, insufficient_credits: 10 });
    expect(await account.sums()).toEqual([0, 0, 0]);
  });

  test("a spend that waited sees what was granted meanwhile, and what was taken", async ({ db, account }) => {
    await account.grant(10);
    const gate = await db.connect();
    try {
      await gate.query("begin");
      await account.on(gate).spend(10);
      await account.on(gate).grant(7);
      const waiting = account.spend(7);
      await blockedBackends(db, 1);
      await gate.query("commit");
      expect(await waiting).toMatchObject({ available: 0, drawn_amounts: [7] });
    } finally {
      gate.release(true);
    }
  });

  test("lots that move while a spend waits are read after the lock, never half", async ({ db, account }) => {
    await account.grant(10, { pool: "promo", expires_in: "1 day" });
    await account.grant(10, { pool: "subscription" });
    const gate = await db.connect();
    try {
      await gate.query("begin");
      await account.on(gate).spend(8);
      await account.on(gate).reset(5);
      const waiting = race(3, () => outcome(account.spend(5)));
      await blockedBackends(db, 3);
      await gate.query("commit");
      expect(tally(await waiting)).toEqual({ done: 3 });
    } finally {
      gate.release(true);
    }
    expect(await account.sums()).toEqual([0, 0, 0]);
  });

  test("many amounts over many rounds: what was spent is what is gone", async ({ account }) => {
    await account.grant(40, { pool: "subscription" });
    await account.grant(60);
    const spent = await race(30, async (i) => {
      const amount = 1 + (i % 7);
      return (await outcome(account.spend(amount))) === "done" ? amount : 0;
    });
    const [available] = await account.sums();
    expect(available + spent.reduce((sum, amount) => sum + amount, 0)).toBe(100);
  });
});

describe("A11 keys", () => {
  test("the same key and amount answers what was done, with the balance as it is now, and takes nothing", async ({
    account,
  }) => {
    await account.grant(3, { pool: "subscription" });
    await account.grant(10);
    const first = await account.spend(5, { key: "k" });
    await account.spend(1);
    const again = await account.spend(5, { key: "k" });
    expect(again).toMatchObject({
      transaction_id: first.transaction_id,
      drawn_pools: ["subscription", "bulk"],
      drawn_amounts: [3, 2],
      available: 7,
    });
    expect(await account.kinds()).toEqual({ grant: 2, spend: 2 });
  });

  test("the same key and amount answers so also when nothing is left to spend", async ({ account }) => {
    await account.grant(5);
    const first = await account.spend(5, { key: "k" });
    expect(await account.spend(5, { key: "k" })).toMatchObject({ transaction_id: first.transaction_id, available: 0 });
  });

  test("another amount, unit or kind under the key is refused, whether or not it could be paid", async ({
    account,
  }) => {
    const { transaction_id } = await account.grant(5, { key: "granted" });
    await account.in("seat").grant(5);
    const spent = await account.spend(2, { key: "spent" });
    expect(await refusal(account.spend(5, { key: "granted" }))).toEqual(reused(transaction_id));
    expect(await refusal(account.spend(1, { key: "granted" }))).toEqual(reused(transaction_id));
    expect(await refusal(account.spend(3, { key: "spent" }))).toEqual(reused(spent.transaction_id));
    expect(await refusal(account.spend(99, { key: "spent" }))).toEqual(reused(spent.transaction_id));
    expect(await refusal(account.in("seat").spend(2, { key: "spent" }))).toEqual(reused(spent.transaction_id));
    expect([await account.sums(), await account.in("seat").sums()]).toEqual([
      [3, 0, 0],
      [5, 0, 0],
    ]);
  });

  test("after 35 days a used key is expired, also for what it did itself", async ({ db, account }) => {
    await account.grant(9);
    const { transaction_id } = await account.spend(2, { key: "k" });
    await advance(db, "34 days 23 hours");
    expect(await account.spend(2, { key: "k" })).toMatchObject({ transaction_id });
    await advance(db, "1 hour");
    expect(await refusal(account.spend(2, { key: "k" }))).toEqual({ code: "idempotency_key_expired", transaction_id });
    expect(await account.sums()).toEqual([7, 0, 0]);
  });

  test("twenty with one key: one spends, all answer alike", async ({ db, account }) => {
    await account.grant(10);
    const answers = await raceBehind(db, account.lock, 20, () => account.spend(3, { key: "one" }));
    expect(new Set(answers.map(({ transaction_id }) => transaction_id)).size).toBe(1);
    expect(await account.sums()).toEqual([7, 0, 0]);
  });

  test("a refused spend leaves its key free", async ({ account }) => {
    expect(await outcome(account.spend(3, { key: "later" }))).toBe("insufficient_credits");
    await account.grant(3);
    expect(await outcome(account.spend(3, { key: "later" }))).toBe("done");
  });
});
