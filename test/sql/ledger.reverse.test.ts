import { describe, expect } from "vitest";
import { raceBehind, tally } from "../support/barrier.ts";
import { Account, advance, outcome, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

const audits = (db: Db, owner: string) =>
  rows<{ actor: string; action: string; subject: string; detail: object }>(
    db,
    "select actor, action, subject, detail from ops.audit where workspace_id = $1 order by id",
    [owner],
  );

describe("reverse", () => {
  test("a spend returns to the lots that it came from", async ({ account }) => {
    await account.grant(4, { pool: "subscription" });
    await account.grant(10);
    const { transaction_id } = await account.spend(9);
    const reversed = await account.reverse(transaction_id);
    expect(reversed).toMatchObject({ reversed: transaction_id, available: 14 });
    expect(await account.pools()).toEqual({ subscription: 4, bulk: 10 });
    expect(await account.entries(reversed.transaction_id)).toEqual([
      ["spent", -4],
      ["available", 4],
      ["spent", -5],
      ["available", 5],
    ]);
  });

  test("a spend whose lot is over returns to `expired`; one in debt pays it first", async ({ db, account }) => {
    await account.grant(5, { pool: "promo", expires_in: "1 minute" });
    const { transaction_id } = await account.spend(5);
    const seats = account.in("seat");
    const { transaction_id: granted } = await seats.grant(6);
    const spent = await seats.spend(6);
    await advance(db, "1 hour");
    expect(await account.reverse(transaction_id)).toMatchObject({ available: 0, debt: 0 });
    expect(await seats.reverse(granted)).toMatchObject({ available: 0, debt: 6 });
    expect(await seats.reverse(spent.transaction_id)).toMatchObject({ available: 0, debt: 0 });
  });

  test("of a settlement what was spent returns, and what had returned does not again", async ({ account }) => {
    await account.grant(10);
    const { id } = await account.hold(6);
    const { transaction_id } = await account.settle(id, 4);
    expect(await account.reverse(transaction_id)).toMatchObject({ available: 10, held: 0 });
    expect(await account.holdRow(id)).toMatchObject({ state: "settled" });
  });

  test("A12 a grant is recovered: from its lot, from others, then as debt", async ({ account }) => {
    const { transaction_id } = await account.grant(10, { pool: "subscription" });
    await account.grant(2);
    await account.spend(7);
    const reversed = await account.reverse(transaction_id);
    expect(reversed).toMatchObject({ available: 0, debt: 5 });
    expect(await account.entries(reversed.transaction_id)).toEqual([
      ["available", -3],
      ["available", -2],
      ["debt", -5],
      ["issued", 10],
    ]);
  });

  test("an adjustment in either direction", async ({ account }) => {
    await account.grant(10);
    const [up, down] = [await account.adjust(5), await account.adjust(-8)];
    expect(await account.reverse(down.transaction_id)).toMatchObject({ available: 15 });
    expect(await account.reverse(up.transaction_id)).toMatchObject({ available: 10 });
  });

  test("a grant that has expired is reversed by nothing", async ({ db, account }) => {
    const { transaction_id } = await account.grant(10, { pool: "promo", expires_in: "1 minute" });
    await account.grant(1);
    await advance(db, "1 hour");
    const reversed = await account.reverse(transaction_id);
    expect(reversed).toMatchObject({ available: 1, debt: 0 });
    expect(await account.entries(reversed.transaction_id)).toEqual([]);
  });

  test("A11 once for ever, and a reversal is not reversed", async ({ db, account }) => {
    await account.grant(10);
    const { transaction_id } = await account.spend(4);
    const first = await account.reverse(transaction_id);
    expect(await refusal(account.reverse(transaction_id))).toEqual({ code: "transaction_reversed" });
    await advance(db, "36 days");
    expect(await refusal(account.reverse(transaction_id))).toEqual({ code: "transaction_reversed" });
    expect(await refusal(account.reverse(first.transaction_id))).toEqual({
      code: "transaction_not_reversible",
      kind: "reverse",
    });
    expect(await account.sums()).toEqual([10, 0, 0]);
  });

  test("A11 by ten at once: once", async ({ db, account }) => {
    await account.grant(10);
    const { transaction_id } = await account.spend(4);
    const outcomes = await raceBehind(db, account.lock, 10, () => outcome(account.reverse(transaction_id)));
    expect(tally(outcomes)).toEqual({ done: 1, transaction_reversed: 9 });
    expect(await account.sums()).toEqual([10, 0, 0]);
  });

  test("what has its own way back cannot be reversed: it says its kind", async ({ db, account }) => {
    await account.reset(20);
    const { id } = await account.hold(1);
    await account.release(id);
    await account.in("seat").setLimit(3);
    const found = await rows<{ id: string; unit: string; kind: string }>(
      db,
      "select id, unit, kind::text from ledger.transaction where owner_id = $1",
      [account.owner],
    );
    expect(new Set(found.map(({ kind }) => kind))).toEqual(new Set(["reset", "hold", "release", "limit"]));
    for (const { id: transaction, unit, kind } of found) {
      expect(await refusal(account.in(unit).reverse(transaction))).toEqual({
        code: "transaction_not_reversible",
        kind,
      });
    }
  });

  test("another owner's, another unit's and no transaction at all are one: not found", async ({ db, account }) => {
    const { transaction_id } = await account.grant(10);
    for (const other of [new Account(db), account.in("seat")]) {
      expect(await refusal(other.reverse(transaction_id))).toEqual({ code: "not_found" });
    }
  });

  test("B9 leaves an audit row in its own statement, and a refused one leaves none", async ({ db, account }) => {
    const granted = await account.grant(10);
    const { transaction_id } = await account.reverse(granted.transaction_id, "twice");
    await refusal(account.reverse(granted.transaction_id));
    expect(await audits(db, account.owner)).toEqual([
      {
        actor: "test",
        action: "ledger.reverse",
        subject: `transaction:${granted.transaction_id}`,
        detail: { reason: "twice", transaction_id },
      },
    ]);
  });
});

describe("adjust", () => {
  test("above zero gives a lot of pool `adjustment`, below zero takes in drain order", async ({ account }) => {
    await account.grant(4, { pool: "subscription" });
    expect(await account.adjust(5)).toMatchObject({ amount: 5, available: 9, pools: ["subscription", "adjustment"] });
    const { transaction_id, ...down } = await account.adjust(-6);
    expect(down).toMatchObject({ amount: -6, available: 3, pools: ["adjustment"] });
    expect(await account.entries(transaction_id)).toEqual([
      ["available", -4],
      ["adjusted", 4],
      ["available", -2],
      ["adjusted", 2],
    ]);
  });

  test("A12 never below zero and never debt, and nothing is no adjustment", async ({ account }) => {
    await account.grant(4);
    expect(await refusal(account.adjust(-5))).toEqual({ code: "insufficient_credits", available: 4 });
    expect(await outcome(account.adjust(0))).not.toBe("done");
    expect(await account.sums()).toEqual([4, 0, 0]);
  });

  test("B9 it takes a reason, and its audit row stands in the same statement", async ({ db, account }) => {
    expect(await refusal(account.adjust(5, { reason: "" }))).toEqual({ code: "reason_required" });
    const { transaction_id } = await account.adjust(5, { reason: "goodwill" });
    await refusal(account.adjust(-99, { reason: "too much" }));
    expect(await audits(db, account.owner)).toEqual([
      {
        actor: "test",
        action: "ledger.adjust",
        subject: `transaction:${transaction_id}`,
        detail: { amount: 5, unit: "credit", reason: "goodwill" },
      },
    ]);
  });

  test("A11 a used key is refused, and audits nothing", async ({ db, account }) => {
    await account.adjust(5, { key: "k" });
    expect(await refusal(account.adjust(5, { key: "k" }))).toMatchObject({ code: "idempotency_key_reused" });
    await advance(db, "35 days");
    expect(await refusal(account.adjust(-5, { key: "k" }))).toMatchObject({ code: "idempotency_key_expired" });
    expect(await audits(db, account.owner)).toHaveLength(1);
    expect(await account.sums()).toEqual([5, 0, 0]);
  });
});
