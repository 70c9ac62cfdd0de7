import { describe, expect } from "vitest";
import { race } from "../support/barrier.ts";
import { advance, outcome, refusal } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

test("A3 a renewal sets subscription credits and leaves bulk credits alone: 5 + 50 becomes 20 + 50", async ({
  account,
}) => {
  await account.grant(5, { pool: "subscription" });
  await account.grant(50);
  const reset = await account.reset(20);
  expect(reset).toMatchObject({ available: 70, pools: ["subscription", "bulk"], pool_available: [20, 50] });
  expect(await account.entries(reset.transaction_id)).toEqual([
    ["available", -5],
    ["expired", 5],
    ["issued", -20],
    ["available", 20],
  ]);
});

test("A3 a renewal closes all lots of its pool, the expired and the empty ones too", async ({ db, account }) => {
  await account.grant(5, { pool: "subscription" });
  await account.grant(6, { pool: "subscription", expires_in: "1 minute" });
  await account.grant(7, { pool: "subscription" });
  const { id } = await account.hold(5);
  await advance(db, "1 hour");
  expect(await account.reset(3, { expires_in: "30 days" })).toMatchObject({ available: 3, held: 5 });
  expect(await account.release(id)).toMatchObject({ available: 3, held: 0 });
});

test("A3 roll-over is a pool of its own, which a renewal does not touch", async ({ account }) => {
  await account.grant(9, { pool: "subscription" });
  const { subscription = 0 } = await account.pools();
  await account.reset(20);
  await account.grant(subscription, { pool: "rollover" });
  await account.reset(20);
  expect(await account.pools()).toEqual({ subscription: 20, rollover: 9 });
  await account.reset(2, { pool: "rollover" });
  expect(await account.pools()).toEqual({ subscription: 20, rollover: 2 });
});

test("amount 0 empties the pool, and a pool that has nothing may be reset", async ({ account }) => {
  expect(await account.reset(0)).toMatchObject({ available: 0, lot_id: null, pools: [] });
  await account.reset(20);
  await account.grant(1);
  expect(await account.reset(0)).toMatchObject({ available: 1, lot_id: null, pools: ["bulk"] });
});

test("a reset sets the expiry of what it gives, and forgets that of what it closed", async ({ db, account }) => {
  await account.grant(5, { pool: "subscription", expires_in: "1 day" });
  await account.reset(20, { expires_in: "30 days" });
  await advance(db, "29 days");
  expect(await account.sums()).toEqual([20, 0, 0]);
  await advance(db, "1 day");
  expect(await account.sums()).toEqual([0, 0, 0]);
});

describe("what is refused", () => {
  test("an expiry in the past, an amount below zero", async ({ account }) => {
    await account.reset(5);
    expect(await refusal(account.reset(20, { expires_in: "-1 second" }))).toEqual({ code: "expires_in_past" });
    expect(await refusal(account.reset(-1))).toMatchObject({ constraint: "amount_within" });
    expect(await account.pools()).toEqual({ subscription: 5 });
  });

  test("A11 a used key: a renewal has one effect", async ({ db, account }) => {
    const { transaction_id } = await account.reset(20, { key: "period-1" });
    await account.spend(5);
    expect(await refusal(account.reset(20, { key: "period-1" }))).toEqual({
      code: "idempotency_key_reused",
      transaction_id,
    });
    await advance(db, "35 days");
    expect(await refusal(account.reset(20, { key: "period-1" }))).toEqual({
      code: "idempotency_key_expired",
      transaction_id,
    });
    expect(await account.pools()).toEqual({ subscription: 15 });
  });
});

test("A3 renewals, spends and holds at once: the pool is what the last renewal and later spends left", async ({
  account,
}) => {
  await account.grant(50);
  const outcomes = await race(24, (i) => {
    if (i % 4 === 0) return outcome(account.reset(20, { key: "period-2" }));
    if (i % 4 === 1) return outcome(account.reset(20));
    return outcome(i % 4 === 2 ? account.spend(2) : account.hold(2));
  });
  expect(outcomes.filter((one) => one === "done")).toHaveLength(24 - 5);
  const { subscription = 0, bulk = 0 } = await account.pools();
  expect(subscription).toBeLessThanOrEqual(20);
  expect(bulk).toBeLessThanOrEqual(50);
});
