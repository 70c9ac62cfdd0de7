import { expect } from "vitest";
import { Counter } from "../support/counter.ts";
import { outcome, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";
import { checkoutFact } from "../support/till.ts";

/** A counter with a pack of 100 credits at 10 €, a plan at 20 € a month, and a workspace. */
async function shop(db: Db) {
  const counter = new Counter(db);
  const [pack, plan] = [await counter.till.pack(100), await counter.till.plan({ included_credits: 0 })];
  return { counter, pack, plan, workspace: await counter.workspace() };
}

test("D1 a top-up with a code is paid, delivered, redeemed and told in one; the same money again changes nothing", async ({
  db,
}) => {
  const { counter, workspace } = await shop(db);
  const promo = await counter.promo({ percent: 25, max_redemptions: 3 });
  const bought = await counter.start(workspace, { topup: 2000, promo: promo.code });
  expect(bought).toMatchObject({ state: "pending", list_minor: 2000, discount_minor: 500, amount_minor: 1500 });
  expect(await counter.redemption(bought.id)).toEqual({ state: "held", attempt: 1, left: 2 });
  const first = await counter.confirm(workspace, bought, { reference: `bank-${bought.id}` });
  expect(first).toMatchObject({ outcome: "paid", state: "paid", available: 2000 });
  expect(await counter.confirm(workspace, bought, { reference: `bank-${bought.id}` })).toEqual(first);
  expect(await counter.redemption(bought.id)).toEqual({ state: "redeemed", attempt: 1, left: 2 });
  expect(await rows(db, "select sides, amounts from ledger.transaction where owner_id = $1", [workspace])).toEqual([
    { sides: ["payments", "promo", "available"], amounts: [-1500, -500, 2000] },
  ]);
  expect(await counter.refund(workspace, first.payment_id, 750)).toMatchObject({ available: 1000 });
});

test("D2 a plan's period by hand, from the balance and at Stripe begins a subscription, with its payment", async ({
  db,
}) => {
  const { counter, plan } = await shop(db);
  const [a, b] = [await counter.workspace(), await counter.workspace()];
  const by_hand = await counter.start(a, { plan });
  expect(await counter.start(a, { plan })).toMatchObject({ id: by_hand.id });
  expect(await counter.confirm(a, by_hand)).toMatchObject({ outcome: "paid", subscription_id: expect.any(String) });
  await counter.topup(b, 2500);
  expect(await counter.buy(b, { plan })).toMatchObject({
    state: "paid",
    subscription_id: expect.any(String),
    available: 500,
  });
  const customer = await counter.till.customer();
  const purchase = await counter.checkout(customer.workspace, { plan });
  expect(purchase).toMatchObject({
    mode: "payment",
    discounted: true,
    name: plan.code,
    amount_minor: 2000,
    trial_days: 0,
  });
  const fact = checkoutFact(customer, { purchase: purchase.id, session: `cs_${purchase.id}` }, { amount_total: 2000 });
  expect(await counter.till.send("x", fact)).toMatchObject({ outcome: "paid" });
  expect(await counter.purchase(purchase.id)).toMatchObject({ state: "paid", subscription_id: expect.any(String) });
});

test("money that does not fit is kept, and settled by the operator: to the balance, or for what it was paid for", async ({
  db,
}) => {
  const { counter, pack, workspace } = await shop(db);
  const bought = await counter.start(workspace, { pack });
  for (const [amount_minor, currency] of [
    [999, "eur"],
    [1001, "eur"],
    [0, "eur"],
    [1000, "usd"],
  ] as const) {
    expect(await counter.confirm(workspace, { id: bought.id, amount_minor }, { currency })).toMatchObject({
      outcome: "does_not_fit",
      state: "pending",
      available: 0,
    });
  }
  const paid = await counter.confirm(workspace, bought);
  expect(paid).toMatchObject({ outcome: "paid" });
  const twice = await counter.confirm(workspace, bought);
  expect(twice).toMatchObject({ outcome: "does_not_fit", state: "paid" });
  expect(await refusal(counter.settle(workspace, twice.payment_id, "purchase"))).toEqual({
    code: "purchase_paid",
    payment_id: paid.payment_id,
  });
  expect(await counter.settle(workspace, twice.payment_id, "balance")).toMatchObject({
    available: 1000,
    state: "paid",
  });
  expect(await outcome(counter.settle(workspace, twice.payment_id, "balance"))).toBe("payment_settled");
  expect(await counter.alarms(bought.id)).toBe(1);
});

test("purchases by hand whose time has passed end, and can be paid late", async ({ db }) => {
  const { counter, pack, workspace } = await shop(db);
  const promo = await counter.promo({ max_redemptions: 1 });
  const bought = await counter.start(workspace, { pack, promo: promo.code }, "1 microsecond");
  expect(await counter.expire()).toMatchObject({ processed: 1, failed: 0, more: false });
  expect(await counter.redemption(bought.id)).toEqual({ state: "released", attempt: 1, left: 1 });
  expect(await counter.confirm(workspace, bought)).toMatchObject({ outcome: "paid" });
  expect(await counter.redemption(bought.id)).toEqual({ state: "redeemed", attempt: 2, left: 0 });
});
