import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { Account, advance, outcome, refusal, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

/** The payment's totals so far, of 100 that were paid. */
type Totals = { refunded?: number; lost?: number };

describe("A12 a payment of 100 gave 10; what is taken back, and where it comes from", () => {
  interface Case {
    title: string;
    /** What happened to the 10 before: `other` credits beside them, how many were spent, held, or left to expire. */
    other?: number;
    spent?: number;
    held?: number;
    expired?: boolean;
    /** The totals as they came to be known, one after the other. */
    events: Totals[];
    /** How much each event took, and `[available, held, debt]` at the end. */
    taken: number[];
    sums: [number, number, number];
  }
  const cases: Case[] = [
    { title: "all unspent, all refunded", events: [{ refunded: 100 }], taken: [10], sums: [0, 0, 0] },
    { title: "nothing refunded", events: [{}], taken: [0], sums: [10, 0, 0] },
    { title: "a part, rounded down", events: [{ refunded: 39 }], taken: [3], sums: [7, 0, 0] },
    { title: "a part too small for one credit", events: [{ refunded: 9 }], taken: [0], sums: [10, 0, 0] },
    {
      title: "parts that add up: 9 + 9 + 9 + 73, each time the whole is rounded and not the part",
      events: [{ refunded: 9 }, { refunded: 18 }, { refunded: 27 }, { refunded: 100 }],
      taken: [0, 1, 1, 8],
      sums: [0, 0, 0],
    },
    {
      title: "the same total again and again",
      events: [{ refunded: 50 }, { refunded: 50 }, { refunded: 50 }],
      taken: [5, 0, 0],
      sums: [5, 0, 0],
    },
    {
      title: "totals that arrive late end as the last one says",
      events: [{ refunded: 80 }, { refunded: 30 }, { refunded: 80 }],
      taken: [8, -5, 5],
      sums: [2, 0, 0],
    },
    {
      title: "more refunded and lost than was paid counts as all of it",
      events: [{ refunded: 80, lost: 80 }, { refunded: 5000 }],
      taken: [10, 0],
      sums: [0, 0, 0],
    },
    {
      title: "spent: the other credits pay",
      other: 20,
      spent: 10,
      events: [{ refunded: 100 }],
      taken: [10],
      sums: [10, 0, 0],
    },
    {
      title: "spent, and nothing else there: debt",
      spent: 10,
      events: [{ refunded: 100 }],
      taken: [10],
      sums: [0, 0, 10],
    },
    {
      title: "half spent, some other credits: lot, others, debt",
      other: 2,
      spent: 6,
      events: [{ refunded: 100 }],
      taken: [10],
      sums: [0, 0, 4],
    },
    {
      title: "held: the other credits pay, and the hold stands",
      other: 20,
      held: 10,
      events: [{ refunded: 100 }],
      taken: [10],
      sums: [10, 10, 0],
    },
    {
      title: "held, and nothing else there: debt, and the hold stands",
      held: 7,
      events: [{ refunded: 100 }],
      taken: [10],
      sums: [0, 7, 7],
    },
    {
      title: "expired: nothing is taken, from nobody",
      other: 20,
      expired: true,
      events: [{ refunded: 100 }],
      taken: [0],
      sums: [20, 0, 0],
    },
    {
      title: "spent in part and expired in part: only what was spent is taken",
      other: 20,
      spent: 4,
      expired: true,
      events: [{ refunded: 100 }],
      taken: [4],
      sums: [16, 0, 0],
    },
    {
      title: "spent in part and expired in part, half refunded",
      other: 20,
      spent: 4,
      expired: true,
      events: [{ refunded: 50 }, { refunded: 100 }],
      taken: [4, 0],
      sums: [16, 0, 0],
    },
    {
      title: "a dispute opened and lost",
      spent: 3,
      events: [{ lost: 100 }, { lost: 100 }],
      taken: [10, 0],
      sums: [0, 0, 3],
    },
    {
      title: "a dispute opened and won",
      spent: 3,
      events: [{ lost: 100 }, { lost: 0 }],
      taken: [10, -10],
      sums: [7, 0, 0],
    },
    {
      title: "a dispute opened, won, opened again and lost",
      spent: 3,
      events: [{ lost: 100 }, {}, { lost: 100 }],
      taken: [10, -10, 10],
      sums: [0, 0, 3],
    },
    {
      title: "a refund of a part, a dispute of the rest, won: the refund stays",
      events: [{ refunded: 40 }, { refunded: 40, lost: 60 }, { refunded: 40 }],
      taken: [4, 6, -6],
      sums: [6, 0, 0],
    },
    {
      title: "a dispute of all while a part was refunded, won",
      spent: 10,
      other: 6,
      events: [{ refunded: 40 }, { refunded: 40, lost: 100 }, { refunded: 40 }, {}],
      taken: [4, 6, -6, -4],
      sums: [6, 0, 0],
    },
  ];
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
