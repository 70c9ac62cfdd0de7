import { describe, expect } from "vitest";
import { race, raceBehind, tally } from "../support/barrier.ts";
import { Account, advance, outcome, refusal } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

describe("set_limit", () => {
  test("B8 the limit becomes what it is set to, whatever is in use", async ({ account }) => {
    const seats = account.in("seat");
    expect(await seats.setLimit(5)).toMatchObject({ available: 5, pools: ["limit"] });
    await seats.spend(2);
    await seats.hold(1);
    expect(await seats.setLimit(9)).toMatchObject({ available: 6, held: 1, debt: 0 });
    expect(await seats.setLimit(3)).toMatchObject({ available: 0, held: 1, debt: 0 });
    const same = await seats.setLimit(3);
    expect(await seats.entries(same.transaction_id)).toEqual([]);
  });

  test("B8 lowered below what is in use it owes the shortfall, and gives nothing until use is under it", async ({
    account,
  }) => {
    const seats = account.in("seat");
    await seats.setLimit(5);
    const taken = [await seats.hold(2), await seats.hold(1), await seats.hold(2)];
    const lowered = await seats.setLimit(2);
    expect(lowered).toMatchObject({ available: 0, held: 5, debt: 3 });
    expect(await seats.entries(lowered.transaction_id)).toEqual([
      ["issued", 3],
      ["debt", -3],
    ]);
    expect(await refusal(seats.hold(1))).toEqual({ code: "insufficient_credits", available: 0 });
    expect(await seats.release(taken[0]?.id ?? "")).toMatchObject({ available: 0, held: 3, debt: 1 });
    expect(await seats.release(taken[2]?.id ?? "")).toMatchObject({ available: 1, held: 1, debt: 0 });
    expect(await seats.release(taken[1]?.id ?? "")).toMatchObject({ available: 2, held: 0, debt: 0 });
  });

  test("raising it pays the shortfall first", async ({ account }) => {
    const bytes = account.in("byte");
    await bytes.setLimit(1_000);
    await bytes.spend(900);
    expect(await bytes.setLimit(400)).toMatchObject({ available: 0, debt: 500 });
    expect(await bytes.setLimit(700)).toMatchObject({ available: 0, debt: 200 });
    const raised = await bytes.setLimit(1_000);
    expect(raised).toMatchObject({ available: 100, debt: 0 });
    expect(await bytes.entries(raised.transaction_id)).toEqual([
      ["issued", -300],
      ["available", 100],
      ["debt", 200],
    ]);
  });

  test("what an operator gave besides makes good for a lowered limit before debt does", async ({ account }) => {
    const seats = account.in("seat");
    await seats.setLimit(5);
    await seats.spend(5);
    await seats.adjust(4);
    expect(await seats.setLimit(2)).toMatchObject({ available: 1, debt: 0, pools: ["adjustment"] });
    expect(await seats.setLimit(0)).toMatchObject({ available: 0, debt: 1 });
    expect(await seats.setLimit(5)).toMatchObject({ available: 4, debt: 0, pools: ["limit"] });
  });

  test("a limit below zero or past 2^53 - 1 is none", async ({ account }) => {
    expect(await refusal(account.setLimit(-1))).toMatchObject({ constraint: "amount_within" });
    expect(await account.setLimit(Number.MAX_SAFE_INTEGER)).toMatchObject({ available: Number.MAX_SAFE_INTEGER });
  });

  test("A11 a used key is refused", async ({ db, account }) => {
    await account.setLimit(5, { key: "k" });
    expect(await refusal(account.setLimit(9, { key: "k" }))).toMatchObject({ code: "idempotency_key_reused" });
    await advance(db, "35 days");
    expect(await refusal(account.setLimit(5, { key: "k" }))).toMatchObject({ code: "idempotency_key_expired" });
    expect(await account.sums()).toEqual([5, 0, 0]);
  });

  test("B8 joins, leavings and changes of the limit at once: never more in use than was allowed", async ({
    db,
    account,
  }) => {
    const seats = account.in("seat");
    await seats.setLimit(4);
    const joins = await raceBehind(db, seats.lock, 12, () => outcome(seats.hold(1)));
    expect(tally(joins)).toEqual({ done: 4, insufficient_credits: 8 });
    for (let round = 0; round < 5; round += 1) {
      await race(15, (i) => outcome(i % 5 === 0 ? seats.setLimit(1 + ((i + round) % 7)) : seats.hold(1)));
      const [available, held, debt] = await seats.sums();
      expect(debt === 0 || available === 0).toBe(true);
      const limit = available + held - debt;
      expect(limit).toBeGreaterThanOrEqual(1);
      expect(limit).toBeLessThanOrEqual(7);
    }
  });
});

describe("other units and owners go through the same code", () => {
  const units: [what: string, unit: string][] = [
    ["seats of a workspace", "seat"],
    ["bytes of a workspace", "byte"],
    ["redemptions of a promo, whose owner is no workspace", "redemption"],
    ["a trial of an identity", "trial"],
    ["euros of a workspace, in cents", "eur"],
  ];
  test.for(units)(
    "%s: a hold of the last one is refused to the next, and settles or returns",
    async ([, unit], { db }) => {
      const account = new Account(db, { unit });
      await account.setLimit(3);
      const unpaid = await account.hold(1, { expires_in: "15 minutes" });
      await account.spend(1);
      const last = await account.hold(1);
      expect(await refusal(account.hold(1))).toEqual({ code: "insufficient_credits", available: 0 });
      await account.settle(last.id);
      await advance(db, "20 minutes");
      expect(await refusal(account.spend(1))).toEqual({ code: "insufficient_credits", available: 0 });
      await db.query("select ledger.holds_expire(100)");
      expect(await account.spend(1)).toMatchObject({ available: 0, held: 0 });
      expect(await account.holdRow(unpaid.id)).toMatchObject({ state: "expired" });
    },
  );

  test("B6 bytes up to 2^53 - 1 in one account", async ({ account }) => {
    const bytes = account.in("byte");
    const largest = Number.MAX_SAFE_INTEGER;
    await bytes.setLimit(largest);
    const { id } = await bytes.hold(largest - 1);
    expect(await bytes.settle(id, largest - 2)).toMatchObject({ available: 2, settled: largest - 2, released: 1 });
  });
});
