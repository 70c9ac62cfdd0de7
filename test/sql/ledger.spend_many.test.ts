import { describe, expect } from "vitest";
import { race, raceBehind, tally } from "../support/barrier.ts";
import { advance, outcome, refusal } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

const items = (...amounts: number[]) => amounts.map((amount, i) => ({ key: `item-${i}`, amount }));

test("A12 each item by itself, in the order given: one that cannot be paid does not stop smaller ones", async ({
  account,
}) => {
  await account.grant(10);
  const answer = await account.spendMany(items(6, 5, 4, 1));
  expect(answer).toMatchObject({
    outcomes: ["spent", "refused", "spent", "refused"],
    codes: [null, "insufficient_credits", null, "insufficient_credits"],
    available: 0,
    pools: [],
  });
  expect(answer.transaction_ids.map((id) => id !== null)).toEqual([true, false, true, false]);
  expect(await account.kinds()).toEqual({ grant: 1, spend: 2 });
});

test("A4 an item takes from several lots, in drain order, as a single spend does", async ({ account }) => {
  await account.grant(10);
  await account.grant(5, { pool: "subscription" });
  const { transaction_ids } = await account.spendMany(items(3, 4));
  expect(await account.entries(transaction_ids[1] ?? "")).toEqual([
    ["available", -2],
    ["spent", 2],
    ["available", -2],
    ["spent", 2],
  ]);
  expect(await account.pools()).toEqual({ bulk: 8 });
});

test("A12 what has expired is not there for an item", async ({ db, account }) => {
  await account.grant(5, { pool: "promo", expires_in: "1 minute" });
  await account.grant(2);
  await advance(db, "1 minute");
  expect(await account.spendMany(items(3, 2))).toMatchObject({ outcomes: ["refused", "spent"], available: 0 });
});

test("A12 nothing, less than nothing, no key or no amount fails the whole call", async ({ account }) => {
  await account.grant(10);
  for (const amount of [0, -1, null]) {
    expect(await outcome(account.spendMany([...items(1), { key: "bad", amount }]))).not.toBe("done");
  }
  expect(await outcome(account.spendMany([...items(1), { key: null, amount: 1 }]))).toBe("23502");
  expect(await account.sums()).toEqual([10, 0, 0]);
});

test("A11 a key twice in one call fails it whole", async ({ account }) => {
  await account.grant(10);
  const twice = account.spendMany([
    { key: "same", amount: 1 },
    { key: "same", amount: 1 },
  ]);
  expect(await refusal(twice)).toMatchObject({ constraint: "transaction_key_once" });
  expect(await account.sums()).toEqual([10, 0, 0]);
});

test("a thousand items in one call", async ({ account }) => {
  await account.grant(600);
  await account.grant(300, { pool: "subscription" });
  const { outcomes } = await account.spendMany(items(...Array.from({ length: 1000 }, () => 1)));
  expect(tally(outcomes)).toEqual({ spent: 900, refused: 100 });
});

describe("A11 item keys share the space of single spends", () => {
  test("an item after a single spend: the same amount is replayed, another refused", async ({ account }) => {
    await account.grant(10);
    const { transaction_id } = await account.spend(3, { key: "a" });
    await account.spend(1, { key: "b" });
    const { transaction_id: granted } = await account.grant(1, { key: "c" });
    const answer = await account.spendMany([
      { key: "a", amount: 3 },
      { key: "b", amount: 2 },
      { key: "c", amount: 1 },
      { key: "d", amount: 1 },
    ]);
    expect(granted).not.toBe(transaction_id);
    expect(answer).toMatchObject({
      outcomes: ["replayed", "refused", "refused", "spent"],
      codes: [null, "idempotency_key_reused", "idempotency_key_reused", null],
      transaction_ids: [transaction_id, null, null, expect.any(String)],
      available: 6,
    });
  });

  test("a single spend after an item: the same amount answers what the item did, another is refused", async ({
    account,
  }) => {
    await account.grant(10);
    const { transaction_ids } = await account.spendMany([{ key: "a", amount: 3 }]);
    expect(await account.spend(3, { key: "a" })).toMatchObject({
      transaction_id: transaction_ids[0],
      drawn_pools: ["bulk"],
      drawn_amounts: [3],
      available: 7,
    });
    expect(await refusal(account.spend(4, { key: "a" }))).toMatchObject({ code: "idempotency_key_reused" });
    expect(await account.sums()).toEqual([7, 0, 0]);
  });

  test("a batch again is replayed item by item; what was refused may pass then", async ({ account }) => {
    await account.grant(10);
    const batch = items(6, 6);
    expect(await account.spendMany(batch)).toMatchObject({ outcomes: ["spent", "refused"] });
    await account.grant(2);
    expect(await account.spendMany(batch)).toMatchObject({ outcomes: ["replayed", "spent"], available: 0 });
    expect(await account.spendMany(batch)).toMatchObject({ outcomes: ["replayed", "replayed"], available: 0 });
  });

  test("another unit under the same key is refused, in both directions", async ({ account }) => {
    const seats = account.in("seat");
    await account.grant(10);
    await seats.grant(10);
    await account.spend(1, { key: "a" });
    await seats.spendMany([{ key: "b", amount: 1 }]);
    expect(await seats.spendMany([{ key: "a", amount: 1 }])).toMatchObject({ codes: ["idempotency_key_reused"] });
    expect(await refusal(account.spend(1, { key: "b" }))).toMatchObject({ code: "idempotency_key_reused" });
  });

  test("after 35 days a late duplicate is told so, in both directions, and takes nothing", async ({ db, account }) => {
    await account.grant(10);
    const { transaction_id } = await account.spend(1, { key: "single" });
    const { transaction_ids } = await account.spendMany([{ key: "item", amount: 1 }]);
    await advance(db, "35 days");
    expect(await account.spendMany([{ key: "single", amount: 1 }])).toMatchObject({
      outcomes: ["refused"],
      codes: ["idempotency_key_expired"],
    });
    expect(await account.spendMany([{ key: "item", amount: 2 }])).toMatchObject({ codes: ["idempotency_key_expired"] });
    expect(await refusal(account.spend(1, { key: "item" }))).toEqual({
      code: "idempotency_key_expired",
      transaction_id: transaction_ids[0],
    });
    expect(await refusal(account.spend(1, { key: "single" }))).toEqual({
      code: "idempotency_key_expired",
      transaction_id,
    });
    expect(await account.sums()).toEqual([8, 0, 0]);
  });
});

describe("A2 batches at once", () => {
  test("batches and single spends with the same keys: each key has one effect", async ({ db, account }) => {
    await account.grant(100);
    const batch = items(1, 2, 3);
    const outcomes = await raceBehind(db, account.lock, 12, (i) =>
      outcome(i % 2 === 0 ? account.spendMany(batch) : account.spend(1 + (i % 3), { key: `item-${i % 3}` })),
    );
    expect(tally(outcomes)).toEqual({ done: 12 });
    expect(await account.sums()).toEqual([94, 0, 0]);
    expect(await account.kinds()).toEqual({ grant: 1, spend: 3 });
  });

  test("B14 batches of two units that name the same keys in opposite orders never deadlock", async ({ account }) => {
    const seats = account.in("seat");
    await account.grant(1000);
    await seats.grant(1000);
    const outcomes: string[] = [];
    for (let round = 0; round < 15; round += 1) {
      const batch = Array.from({ length: 30 }, (_, i) => ({ key: `round-${round}-${i}`, amount: 1 }));
      outcomes.push(
        ...(await race(4, (i) =>
          outcome(i % 2 === 0 ? account.spendMany(batch) : seats.spendMany(batch.toReversed())),
        )),
      );
    }
    expect(tally(outcomes)).toEqual({ done: 60 });
    const [credits, seated] = [await account.kinds(), await seats.kinds()];
    expect((credits["spend"] ?? 0) + (seated["spend"] ?? 0)).toBe(15 * 30);
  });
});
