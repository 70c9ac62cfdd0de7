import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { Account, advance, outcome, refusal, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";
import { cases } from "./take_back.cases.ts";
import type { Totals } from "./take_back.cases.ts";

describe("A12 a payment of 100 gave 10; what is taken back, and where it comes from", () => {
  test.for(cases)(
    "$title",
    async ({ other = 0, spent = 0, held = 0, expired, events, taken, sums }, { db, account }) => {
      const payment = randomUUID();
      const grant = { pool: "subscription", payment, ...(expired ? { expires_in: "1 minute" } : {}) };
      const { lot_id } = await account.grant(10, grant);
      if (other > 0) await account.grant(other);
      if (spent > 0) await account.spend(spent);
      if (held > 0) await account.hold(held, { expires_in: "1 year" });
      if (expired) await advance(db, "1 hour");
      const answered: number[] = [];
      for (const totals of events) answered.push(await account.takeBack(payment, totals));
      expect(answered).toEqual(taken);
      expect(await account.sums()).toEqual(sums);
      const [lot] = await rows<{ recovered: number }>(db, "select recovered::bigint from ledger.lot where id = $1", [
        lot_id,
      ]);
      expect(lot?.recovered).toBe(answered.reduce((sum, one) => sum + one, 0));
    },
  );
});

test("A12 any order of any totals ends as the last one alone does", async ({ account }) => {
  const totals: Totals[] = [{ refunded: 33 }, { refunded: 66, lost: 20 }, { lost: 100 }, { refunded: 15 }];
  for (const [i, last] of totals.entries()) {
    const [alone, after] = [account.in(`alone_${i}`), account.in(`after_${i}`)];
    for (const one of [alone, after]) {
      const payment = randomUUID();
      await one.grant(7, { payment });
      await one.grant(2);
      await one.spend(4);
      if (one === after) for (const before of [...totals, ...totals.toReversed()]) await one.takeBack(payment, before);
      await one.takeBack(payment, last);
    }
    expect([i, await after.sums()]).toEqual([i, await alone.sums()]);
  }
});

test("A12 amounts near 2^53 - 1 are reckoned exactly", async ({ account }) => {
  const largest = Number.MAX_SAFE_INTEGER;
  const payment = randomUUID();
  await account.grant(largest, { payment });
  expect(await account.takeBack(payment, { refunded: largest - 1, paid: largest })).toBe(largest - 1);
  expect(await account.sums()).toEqual([1, 0, 0]);
  expect(await account.takeBack(payment, { refunded: largest, lost: largest, paid: largest })).toBe(1);
  expect(await account.takeBack(payment, { refunded: 1, paid: largest })).toBe(1 - largest);
  expect(await account.takeBack(payment, { refunded: 1, paid: 3 })).toBe(Math.floor(largest / 3) - 1);
  expect(await account.sums()).toEqual([largest - Math.floor(largest / 3), 0, 0]);
});

test("a payment of nothing gives nothing back", async ({ account }) => {
  const payment = randomUUID();
  await account.grant(5, { payment });
  expect(await account.takeBack(payment, { refunded: 0, paid: 0 })).toBe(0);
  expect(await account.takeBack(payment, { refunded: 9, lost: 9, paid: 0 })).toBe(0);
  expect(await account.sums()).toEqual([5, 0, 0]);
});

test("A12 several lots and units of one payment, each by its own share; other payments are not touched", async ({
  account,
}) => {
  const [payment, other] = [randomUUID(), randomUUID()];
  const seats = account.in("seat");
  await account.grant(10, { payment });
  await account.reset(25, { payment });
  await seats.grant(3, { payment });
  await account.grant(40, { payment: other });
  await seats.spend(3);
  expect(await account.takeBack(payment, { refunded: 50 })).toBe(5 + 12 + 1);
  expect(await account.sums()).toEqual([5 + 13 + 40, 0, 0]);
  expect(await seats.sums()).toEqual([0, 0, 1]);
  expect(await account.takeBack(payment, { refunded: 100 })).toBe(5 + 13 + 2);
  expect(await account.pools()).toEqual({ bulk: 40 });
  expect(await seats.sums()).toEqual([0, 0, 3]);
  expect(await account.takeBack(payment, { refunded: 100 })).toBe(0);
});

test("what a payment gave to another owner is not taken from this one", async ({ db, account }) => {
  const payment = randomUUID();
  await account.grant(10);
  const other = new Account(db);
  await other.grant(5, { payment });
  expect(await account.takeBack(payment, { refunded: 100 })).toBe(0);
  expect([await account.sums(), await other.sums()]).toEqual([
    [10, 0, 0],
    [5, 0, 0],
  ]);
});

test("A12 what had been reset never becomes debt", async ({ account }) => {
  const payment = randomUUID();
  await account.reset(10, { payment });
  await account.grant(50);
  await account.spend(4);
  await account.reset(10);
  expect(await account.takeBack(payment, { refunded: 100 })).toBe(4);
  expect(await account.pools()).toEqual({ subscription: 6, bulk: 50 });
});

test("A12 the debt of a refund is paid by the next grant, and a dispute won gives that back", async ({ account }) => {
  const payment = randomUUID();
  await account.grant(10, { payment });
  await account.spend(10);
  await account.takeBack(payment, { lost: 100 });
  expect(await account.sums()).toEqual([0, 0, 10]);
  await account.grant(4);
  expect(await account.sums()).toEqual([0, 0, 6]);
  expect(await account.takeBack(payment)).toBe(-10);
  expect(await account.sums()).toEqual([4, 0, 0]);
});

describe("A11 keys", () => {
  test("a key that moves a lot is used for it: another total under it is refused", async ({ account, db }) => {
    const payment = randomUUID();
    await account.grant(10, { payment });
    await account.takeBack(payment, { refunded: 50, key: "refund-1" });
    expect(await account.takeBack(payment, { refunded: 50, key: "refund-1" })).toBe(0);
    expect(await refusal(account.takeBack(payment, { refunded: 60, key: "refund-1" }))).toMatchObject({
      code: "idempotency_key_reused",
    });
    await advance(db, "35 days");
    expect(await refusal(account.takeBack(payment, { refunded: 60, key: "refund-1" }))).toMatchObject({
      code: "idempotency_key_expired",
    });
    expect(await account.sums()).toEqual([5, 0, 0]);
  });

  test("the same refund told twenty times at once is taken once", async ({ account }) => {
    const payment = randomUUID();
    await account.grant(10, { payment });
    const taken = await race(20, (i) => account.takeBack(payment, { refunded: 70, key: `event-${i}` }));
    expect(tally(taken)).toEqual({ 7: 1, 0: 19 });
  });

  test("B14 refunds of two units beside sweeps, spends and holds never deadlock", async ({ db, account }) => {
    const seats = account.in("seat");
    const payments = Array.from({ length: 6 }, () => randomUUID());
    for (const payment of payments) {
      await seats.grant(5, { payment, pool: "promo", expires_in: "1 minute" });
      await account.grant(5, { payment, pool: "promo", expires_in: "1 minute" });
    }
    await account.hold(3, { expires_in: "1 minute" });
    await seats.hold(3, { expires_in: "1 minute" });
    await advance(db, "2 minutes");
    const refund = (one: Account, i: number) => one.takeBack(payments[i % 6] ?? "", { refunded: 10 * (i % 10) });
    const outcomes = await race(24, (i) => {
      if (i % 4 === 0) return outcome(rows(db, `select ledger.${i % 8 === 0 ? "holds" : "lots"}_expire(100)`));
      return outcome(i % 4 === 1 ? (i % 8 === 1 ? account : seats).spend(1) : refund(account, i));
    });
    expect(outcomes.filter((one) => !["done", "insufficient_credits"].includes(one))).toEqual([]);
  });
});
