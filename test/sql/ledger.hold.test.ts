import { describe, expect } from "vitest";
import { blockedBackends, race, raceBehind, tally } from "../support/barrier.ts";
import { Account, advance, outcome, refusal, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

describe("hold", () => {
  test("A4 takes from the lots in drain order until it ends", async ({ account }) => {
    await account.grant(10);
    await account.grant(5, { pool: "subscription" });
    const held = await account.hold(7);
    expect(held).toMatchObject({
      amount: 7,
      state: "held",
      available: 8,
      held: 7,
      pools: ["bulk"],
      pool_available: [8],
    });
    expect(await account.holdRow(held.id)).toEqual({ state: "held", version: 1, settled: 0 });
    const { available, debt, pools } = await account.balance();
    expect({ available, debt, pools }).toEqual({ available: held.available, debt: held.debt, pools: held.pools });
  });

  test("A12 all of it or nothing", async ({ account }) => {
    await account.grant(5);
    expect(await refusal(account.hold(6))).toEqual({ code: "insufficient_credits", available: 5 });
    for (const amount of [0, -1]) expect(await outcome(account.hold(amount))).not.toBe("done");
    expect(await account.sums()).toEqual([5, 0, 0]);
  });

  test("A11 its key is used for ever, by whatever it was used", async ({ db, account }) => {
    await account.grant(9);
    await account.hold(1, { key: "k" });
    await account.spend(1, { key: "s" });
    expect(await refusal(account.hold(1, { key: "k" }))).toMatchObject({ code: "idempotency_key_reused" });
    expect(await refusal(account.hold(1, { key: "s" }))).toMatchObject({ code: "idempotency_key_reused" });
    await advance(db, "35 days");
    expect(await refusal(account.hold(1, { key: "k" }))).toMatchObject({ code: "idempotency_key_expired" });
  });

  test("A2 ten credits, twenty who hold one each: ten hold", async ({ db, account }) => {
    await account.grant(10);
    const outcomes = await raceBehind(db, account.lock, 20, () => outcome(account.hold(1)));
    expect(tally(outcomes)).toEqual({ done: 10, insufficient_credits: 10 });
    expect(await account.sums()).toEqual([0, 10, 0]);
  });
});

describe("settle and release", () => {
  test("a settlement spends from the front of the hold's lots, and the rest returns", async ({ account }) => {
    await account.grant(4, { pool: "subscription" });
    await account.grant(10);
    const { id } = await account.hold(9);
    const settled = await account.settle(id, 6);
    expect(settled).toMatchObject({ id, state: "settled", settled: 6, released: 3, available: 8, held: 0 });
    expect(await account.entries(settled.transaction_id)).toEqual([
      ["held", -4],
      ["spent", 4],
      ["held", -5],
      ["spent", 2],
      ["available", 3],
    ]);
    expect(await account.pools()).toEqual({ bulk: 8 });
    expect(await account.holdRow(id)).toEqual({ state: "settled", version: 2, settled: 6 });
  });

  test("without an amount all of it is spent; of nothing all returns", async ({ account }) => {
    await account.grant(10);
    const [one, two] = [await account.hold(4), await account.hold(3)];
    expect(await account.settle(one.id)).toMatchObject({ settled: 4, released: 0, available: 3, held: 3 });
    expect(await account.settle(two.id, 0)).toMatchObject({ state: "settled", settled: 0, released: 3, available: 6 });
  });

  test("a release returns everything to where it came from", async ({ account }) => {
    await account.grant(4, { pool: "subscription", expires_in: "1 day" });
    await account.grant(10);
    const before = await account.balance();
    const { id } = await account.hold(9);
    const { pools, pool_available, pool_expires_at, ...ended } = await account.release(id);
    expect(ended).toMatchObject({ id, state: "released", settled: 0, released: 9, available: 14, held: 0 });
    expect({ pools, pool_available, pool_expires_at }).toEqual({
      pools: before.pools,
      pool_available: before.pool_available,
      pool_expires_at: before.pool_expires_at,
    });
  });

  test("more than the hold holds is refused, with its amount, and it stays", async ({ account }) => {
    await account.grant(10);
    const { id } = await account.hold(4);
    expect(await refusal(account.settle(id, 5))).toEqual({ code: "amount_exceeds_hold", amount: 4 });
    expect(await account.holdRow(id)).toEqual({ state: "held", version: 1, settled: 0 });
    expect(await outcome(account.settle(id, -1))).toBe("23514");
  });

  test("A12 a hold ends once: every later end is told how it ended", async ({ db, account }) => {
    await account.grant(9);
    const ended = { settled: await account.hold(3), released: await account.hold(3), expired: await account.hold(3) };
    await account.settle(ended.settled.id, 1);
    await account.release(ended.released.id);
    await advance(db, "2 hours");
    await rows(db, "select ledger.holds_expire(100)");
    const after = await account.sums();
    for (const [state, { id }] of Object.entries(ended)) {
      expect(await refusal(account.settle(id))).toEqual({ code: "hold_ended", state });
      expect(await refusal(account.settle(id, 99))).toEqual({ code: "hold_ended", state });
      expect(await refusal(account.release(id))).toEqual({ code: "hold_ended", state });
    }
    expect(await account.sums()).toEqual(after);
  });

  test("another's, another unit's and no hold at all are one: not found", async ({ db, account }) => {
    await account.grant(3);
    const { id } = await account.hold(3);
    for (const other of [new Account(db), account.in("seat")]) {
      expect(await refusal(other.settle(id))).toEqual({ code: "not_found" });
      expect(await refusal(other.release(id))).toEqual({ code: "not_found" });
    }
    expect(await refusal(account.release("018f0000-0000-7000-8000-000000000001"))).toEqual({ code: "not_found" });
  });

  test("A11 a late duplicate of what ended a hold hears of its key, another of the hold's end", async ({
    db,
    account,
  }) => {
    await account.grant(3);
    const { id } = await account.hold(3);
    const { transaction_id } = await account.settle(id, 1, { key: "k" });
    expect(await refusal(account.settle(id, 1, { key: "k" }))).toEqual({
      code: "idempotency_key_reused",
      transaction_id,
    });
    await advance(db, "35 days");
    expect(await refusal(account.settle(id, 1, { key: "k" }))).toEqual({
      code: "idempotency_key_expired",
      transaction_id,
    });
    expect(await refusal(account.settle(id, 1))).toEqual({ code: "hold_ended", state: "settled" });
  });

  test("A11 a used key ends no hold", async ({ account }) => {
    await account.grant(3, { key: "used" });
    const { id } = await account.hold(3);
    expect(await refusal(account.release(id, { key: "used" }))).toMatchObject({ code: "idempotency_key_reused" });
    expect(await account.holdRow(id)).toMatchObject({ state: "held", version: 1 });
  });

  test("A12 settled and released by twenty at once: it ends once", async ({ db, account }) => {
    await account.grant(10);
    for (let round = 0; round < 5; round += 1) {
      const { id } = await account.hold(2);
      const ends = await raceBehind(db, account.lock, 20, (i) =>
        outcome(i % 2 === 0 ? account.settle(id, 1) : account.release(id)),
      );
      expect(tally(ends)).toEqual({ done: 1, hold_ended: 19 });
    }
  });

  test("B14 holds of one account ended in opposite orders never deadlock", async ({ account }) => {
    await account.grant(200);
    for (let round = 0; round < 5; round += 1) {
      const holds = await race(10, () => account.hold(2));
      const ends = await race(20, (i) => outcome(account.release((i < 10 ? holds[i] : holds[19 - i])?.id ?? "")));
      expect(tally(ends)).toEqual({ done: 10, hold_ended: 10 });
    }
    expect(await account.sums()).toEqual([200, 0, 0]);
  });
});

describe("a hold past its expiry", () => {
  test("can be settled until somebody has ended it", async ({ db, account }) => {
    await account.grant(10);
    const { id } = await account.hold(4, { expires_in: "1 minute" });
    await advance(db, "1 hour");
    expect(await account.sums()).toEqual([6, 4, 0]);
    expect(await account.settle(id, 3)).toMatchObject({ state: "settled", available: 7, held: 0 });
  });

  test("D23 settled while the sweep runs: one of them ends it, and nobody waits for the sweep", async ({
    db,
    account,
  }) => {
    await account.grant(10);
    const { id } = await account.hold(4, { expires_in: "1 minute" });
    await advance(db, "1 hour");
    const gate = await db.connect();
    try {
      await gate.query("begin");
      await account.on(gate).settle(id, 3);
      const [swept] = await rows<{ processed: number }>(db, "select * from ledger.holds_expire(100)");
      expect(swept).toMatchObject({ processed: 0 });
      await gate.query("commit");
      await gate.query("begin");
      const second = await account.hold(4, { expires_in: "1 minute" });
      await advance(db, "1 hour");
      await gate.query("select ledger.holds_expire(100)");
      const settling = outcome(account.settle(second.id));
      await blockedBackends(db, 1);
      await gate.query("commit");
      expect(await settling).toBe("hold_ended");
    } finally {
      gate.release(true);
    }
    expect(await account.sums()).toEqual([7, 0, 0]);
  });
});

describe("what returns to a lot that is over goes to `expired`", () => {
  test("an expired lot", async ({ db, account }) => {
    await account.grant(10, { pool: "promo", expires_in: "1 minute" });
    const { id } = await account.hold(4, { expires_in: "1 day" });
    await advance(db, "1 hour");
    const { transaction_id } = await account.release(id);
    expect(await account.entries(transaction_id)).toEqual([
      ["held", -4],
      ["expired", 4],
    ]);
    expect(await account.sums()).toEqual([0, 0, 0]);
  });

  test("A3 a lot that a renewal has closed, and only that part", async ({ account }) => {
    await account.grant(5, { pool: "subscription" });
    await account.grant(5);
    const { id } = await account.hold(7);
    await account.reset(20);
    await account.release(id);
    expect(await account.pools()).toEqual({ subscription: 20, bulk: 5 });
  });
});
