import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { Account, advance, refusal, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

const largest = Number.MAX_SAFE_INTEGER;

test("A5 grants add up: 50 + 100 + 250 is 400, each a lot of its own", async ({ account }) => {
  await account.grant(50);
  await account.grant(100);
  expect(await account.grant(250)).toMatchObject({
    available: 400,
    held: 0,
    debt: 0,
    pools: ["bulk", "bulk", "bulk"],
    pool_available: [50, 100, 250],
    pool_expires_at: [null, null, null],
  });
});

test("a grant's entries say where it came from and went", async ({ account }) => {
  const { transaction_id } = await account.grant(50);
  expect(await account.entries(transaction_id)).toEqual([
    ["issued", -50],
    ["available", 50],
  ]);
});

test("A11 a grant's key has one effect for ever: again it is refused, and names the transaction", async ({
  db,
  account,
}) => {
  const { transaction_id } = await account.grant(50, { key: "once" });
  const again = () => refusal(account.grant(50, { key: "once" }));
  expect(await again()).toEqual({ code: "idempotency_key_reused", transaction_id });
  await advance(db, "35 days");
  expect(await again()).toEqual({ code: "idempotency_key_expired", transaction_id });
  await advance(db, "10 years");
  expect(await again()).toEqual({ code: "idempotency_key_expired", transaction_id });
  expect(await account.sums()).toEqual([50, 0, 0]);
});

test("A11 a key is the owner's over all units, and nobody else's", async ({ account, db }) => {
  await account.grant(1, { key: "mine" });
  expect(await refusal(account.in("seat").grant(1, { key: "mine" }))).toMatchObject({ code: "idempotency_key_reused" });
  expect(await new Account(db).grant(1, { key: "mine" })).toMatchObject({ available: 1 });
});

describe("A12 what may be given", () => {
  test("nothing, and less than nothing, is no grant", async ({ account }) => {
    expect(await refusal(account.grant(0))).toMatchObject({ constraint: "transaction_balanced" });
    expect(await refusal(account.grant(-5))).toMatchObject({ constraint: "amount_within" });
    expect(await account.sums()).toEqual([0, 0, 0]);
  });

  test("a balance never passes 2^53 - 1, in one grant or in many", async ({ account }) => {
    await account.grant(largest);
    expect(await refusal(account.grant(1))).toMatchObject({ constraint: "amount_within" });
    const args = [account.owner, account.unit];
    const tooMuch = `select ledger.grant($1, $2, 'bulk', 9007199254740992, null, null, 'much', 'test')`;
    expect(await refusal(rows(account.db, tooMuch, args))).toMatchObject({ constraint: "amount_within" });
    expect(await account.sums()).toEqual([largest, 0, 0]);
  });

  test("what is held counts towards the limit, so that it can always return", async ({ account }) => {
    await account.grant(largest);
    const { id } = await account.hold(10);
    expect(await refusal(account.grant(1))).toEqual({ code: "balance_limit_exceeded" });
    expect(await refusal(account.adjust(1))).toEqual({ code: "balance_limit_exceeded" });
    expect(await refusal(account.setLimit(1))).toEqual({ code: "balance_limit_exceeded" });
    expect(await refusal(account.reset(1))).toEqual({ code: "balance_limit_exceeded" });
    expect(await account.release(id)).toMatchObject({ available: largest, held: 0 });
  });

  test("an expiry in the past is refused, by the database's clock", async ({ db: pool, account }) => {
    expect(await refusal(account.grant(1, { expires_in: "-1 second" }))).toEqual({ code: "expires_in_past" });
    expect(await refusal(account.grant(1, { expires_in: "0" }))).toEqual({ code: "expires_in_past" });
    await account.grant(1, { expires_in: "1 hour" });
    const [soon] = await rows<{ at: string }>(pool, "select (clock_timestamp() + interval '1 hour')::text as at");
    await advance(pool, "2 hours");
    const args = [account.owner, account.unit, soon?.at];
    const late = `select ledger.grant($1, $2, 'bulk', 1, $3, null, 'late', 'test')`;
    expect(await refusal(rows(pool, late, args))).toEqual({ code: "expires_in_past" });
  });

  test("a unit and a pool are lower-case words", async ({ account }) => {
    for (const word of ["", "Credit", "1st", "a-b", "a".repeat(33), "credit\n"]) {
      expect([word, await refusal(account.in(word).grant(1))]).toMatchObject([word, { constraint: "word_plain" }]);
      expect([word, await refusal(account.grant(1, { pool: word }))]).toMatchObject([
        word,
        { constraint: "word_plain" },
      ]);
    }
  });
});

/** An account that owes 10. */
async function indebted(account: Account) {
  const payment = randomUUID();
  await account.grant(10, { payment });
  await account.spend(10);
  await account.takeBack(payment, { refunded: 100 });
  expect(await account.sums()).toEqual([0, 0, 10]);
}

describe("A12 debt is paid first", () => {
  test("a grant under it leaves nothing available, one over it the rest", async ({ account }) => {
    await indebted(account);
    expect(await account.grant(4)).toMatchObject({ available: 0, debt: 6, pools: [] });
    const { transaction_id, ...balance } = await account.grant(9);
    expect(balance).toMatchObject({ available: 3, debt: 0, pool_available: [3] });
    expect(await account.entries(transaction_id)).toEqual([
      ["issued", -9],
      ["available", 3],
      ["debt", 6],
    ]);
  });

  test("with debt nothing can be spent or held", async ({ account }) => {
    await indebted(account);
    expect(await refusal(account.spend(1))).toEqual({ code: "insufficient_credits", available: 0 });
    expect(await refusal(account.hold(1))).toEqual({ code: "insufficient_credits", available: 0 });
  });

  test("a reset gives max(0, amount - debt)", async ({ account }) => {
    await indebted(account);
    expect(await account.reset(4)).toMatchObject({ available: 0, debt: 6 });
    expect(await account.reset(20)).toMatchObject({ available: 14, debt: 0, pools: ["subscription"] });
  });

  test("an operator's adjustment pays it too", async ({ account }) => {
    await indebted(account);
    expect(await account.adjust(12)).toMatchObject({ available: 2, debt: 0, pools: ["adjustment"] });
  });
});
