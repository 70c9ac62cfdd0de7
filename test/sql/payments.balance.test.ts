import { expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { call, outcome, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";
import { Till, checkoutFact } from "../support/till.ts";

interface Bought {
  id: string;
  state: string;
  payment_id: string;
  available: number;
}

/** A workspace with money, and a pack of 100 credits at 10 €. */
async function shop(db: Db, euros = 0) {
  const till = new Till(db);
  const [customer, pack] = [await till.customer(), await till.pack(100, { amount: 1000 })];
  const workspace_id = customer.workspace;
  const topup = (amount_minor: number, reference: string = crypto.randomUUID(), currency = "eur") =>
    call<Bought>(db, "payments.record_topup", { workspace_id, amount_minor, currency, reference, caused_by: "test" });
  if (euros > 0) await topup(euros * 100);
  const buy = (quantity = 1, currency = "eur") =>
    call<Bought>(db, "payments.buy_from_balance", {
      workspace_id,
      pack_code: pack.code,
      currency,
      quantity,
      caused_by: "test",
    });
  const refund = (payment_id: string, amount_minor: number | null = null) =>
    call<{ refunded: number; available: number }>(db, "payments.refund_payment", {
      workspace_id,
      payment_id,
      amount_minor,
      reason: "test",
      caused_by: "test",
    });
  const balance = async () => {
    const [row] = await rows<{ available: number; debt: number }>(
      db,
      "select available, debt from ledger.balance_of($1, 'eur')",
      [workspace_id],
    );
    return row?.debt === 0 ? row.available : -(row?.debt ?? 0);
  };
  return { till, customer, pack, workspace_id, topup, buy, refund, balance, credits: () => till.credits(workspace_id) };
}

test("D1 money that came by hand changes purchase, payment and balance together, once by its reference", async ({
  db,
}) => {
  const { topup, balance, workspace_id } = await shop(db);
  const first = await topup(2500, "bank-1");
  expect(first).toMatchObject({ state: "paid", available: 2500 });
  expect(await topup(2500, "bank-1")).toMatchObject({ id: first.id, payment_id: first.payment_id, available: 2500 });
  expect(await refusal(topup(2600, "bank-1"))).toMatchObject({ code: "reference_used", purchase_id: first.id });
  const other = await shop(db);
  expect(await refusal(other.topup(2500, "bank-1"))).toMatchObject({ code: "reference_used" });
  expect(await balance()).toBe(2500);
  expect(await rows(db, "select sides, amounts from ledger.transaction where owner_id = $1", [workspace_id])).toEqual([
    { sides: ["payments", "available"], amounts: [-2500, 2500] },
  ]);
});

test("D3 50 tellers of one top-up at once: one effect", async ({ db }) => {
  const { topup, balance } = await shop(db);
  const told = await race(50, () => topup(700, "bank-of-fifty"));
  expect(new Set(told.map(({ id }) => id)).size).toBe(1);
  expect(await balance()).toBe(700);
});

test("D7 a pack is paid and given together, and never from less than there is: 20 buyers, money for 5", async ({
  db,
}) => {
  const { buy, balance, credits, workspace_id } = await shop(db, 55);
  const outcomes = await race(20, () => outcome(buy()));
  expect(tally(outcomes)).toEqual({ done: 5, insufficient_balance: 15 });
  expect([await balance(), await credits()]).toEqual([500, { bulk: 500 }]);
  const [{ count } = { count: 0 }] = await rows<{ count: number }>(
    db,
    "select count(*)::int as count from payments.purchase where workspace_id = $1 and provider = 'balance' and state = 'paid'",
    [workspace_id],
  );
  expect(count).toBe(5);
  expect(await refusal(buy())).toMatchObject({ code: "insufficient_balance", available: 500, required: 1000 });
  expect(await refusal(buy(1, "usd"))).toMatchObject({ code: "price_unknown" });
});

test("a read-only or frozen workspace buys nothing from its balance", async ({ db }) => {
  const { buy, workspace_id } = await shop(db, 20);
  await call(db, "people.freeze_workspace", { workspace_id, reason: "test", caused_by: "test" });
  expect(await outcome(buy())).toBe("workspace_frozen");
  await call(db, "people.unfreeze_workspace", { workspace_id, caused_by: "test" });
  await db.query("update people.workspace set read_only_from = ops.now() where id = $1", [workspace_id]);
  expect(await outcome(buy())).toBe("workspace_read_only");
});

test("what was paid from the balance goes back to it, and what it bought is taken back in proportion; never more than was paid", async ({
  db,
}) => {
  const { buy, refund, balance, credits } = await shop(db, 20);
  const { payment_id } = await buy(2);
  expect(await refund(payment_id, 500)).toMatchObject({ refunded: 500, available: 500 });
  expect(await credits()).toEqual({ bulk: 150 });
  const outcomes = await race(8, () => outcome(refund(payment_id, 1000)));
  expect(tally(outcomes)).toEqual({ done: 1, amount_exceeds_payment: 7 });
  expect(await refund(payment_id)).toMatchObject({ refunded: 2000, available: 2000 });
  expect(await refusal(refund(payment_id))).toMatchObject({ code: "amount_exceeds_payment", left_minor: 0 });
  expect([await balance(), await credits()]).toEqual([2000, {}]);
});

test("a top-up by hand that is refunded leaves the balance; what was spent of it is owed", async ({ db }) => {
  const { topup, buy, refund, balance } = await shop(db);
  const { payment_id } = await topup(1500);
  await buy();
  await refund(payment_id);
  expect(await balance()).toBe(-1000);
  expect(await outcome(buy())).toBe("insufficient_balance");
  await topup(1000);
  expect(await balance()).toBe(0);
});

test("D1 a top-up through Stripe is the balance once its session is paid; another amount or currency is kept, under an alarm", async ({
  db,
}) => {
  for (const [told, euros, alarms] of [
    [{ amount_total: 2500, currency: "eur" }, 2500, 0],
    [{ amount_total: 2400, currency: "eur" }, 0, 1],
    [{ amount_total: 2500, currency: "usd" }, 0, 1],
  ] as const) {
    const { till, customer, workspace_id, balance, refund } = await shop(db);
    const purchase = await call<{ id: string; session_token: string; amount_minor: number }>(
      db,
      "payments.start_checkout",
      {
        workspace_id,
        plan_code: null,
        plan_number: null,
        pack_code: null,
        currency: "eur",
        interval_unit: null,
        interval_count: null,
        quantity: 1,
        success_url: "https://app.example/ok",
        cancel_url: "https://app.example/no",
        caused_by: "test",
        topup_minor: 2500,
      },
    );
    expect(purchase.amount_minor).toBe(2500);
    const session = `cs_${crypto.randomUUID()}`;
    const fact = checkoutFact(
      customer,
      { purchase: purchase.id, session },
      { ...told, payment_intent: `pi_${session}` },
    );
    for (let times = 0; times < 2; times += 1) await till.send("checkout.session.completed", fact);
    expect(await balance()).toBe(euros);
    const open = await rows(db, "select from ops.alarm where code = 'payment_does_not_fit' and subject = $1", [
      `purchase:${purchase.id}`,
    ]);
    expect(open).toHaveLength(alarms);
    const [payment] = await rows<{ id: string }>(db, "select id from payments.payment where purchase_id = $1", [
      purchase.id,
    ]);
    expect(await refusal(refund(payment?.id ?? ""))).toMatchObject({ code: "refund_at_provider", provider: "stripe" });
  }
});
