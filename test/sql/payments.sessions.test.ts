import { describe, expect } from "vitest";
import { paymentOf, purchaseOf, start, syncCheckout } from "../support/buying.ts";
import { Account, advance, call, rows } from "../support/scenario.ts";
import { Till, checkoutFact, invoiceFact } from "../support/till.ts";
import type { Customer, Fact } from "../support/till.ts";
import { test } from "../support/sql.ts";

type Session = { purchase: string; session: string };

const refund = (intent: string, amount: number): Fact => ({
  kind: "refund",
  refund: `re_${intent}`,
  payment_intent: intent,
  charge: `ch_${intent}`,
  amount,
  status: "succeeded",
  created: 1,
});

/** What each event of a session says of it. */
const says = {
  completed_paid: (of: Customer, it: Session) => checkoutFact(of, it),
  completed_unpaid: (of: Customer, it: Session) => checkoutFact(of, it, { payment_status: "unpaid" }),
  succeeded: (of: Customer, it: Session) => checkoutFact(of, it, { event: "async_payment_succeeded" }),
  failed: (of: Customer, it: Session) =>
    checkoutFact(of, it, { event: "async_payment_failed", payment_status: "unpaid" }),
  expired: (of: Customer, it: Session) =>
    checkoutFact(of, it, { event: "expired", status: "expired", payment_status: "unpaid" }),
};

async function buyer(till: Till) {
  const [pack, customer] = [await till.pack(50), await till.customer()];
  return { customer, ...(await till.checkout(customer, { pack })) };
}

describe("a session's events end the same in any order", () => {
  const orders: [events: (keyof typeof says)[], state: string, credits: number][] = [
    [["completed_paid"], "paid", 50],
    [["completed_paid", "completed_paid"], "paid", 50],
    [["completed_unpaid", "succeeded"], "paid", 50],
    [["succeeded", "completed_unpaid"], "paid", 50],
    [["succeeded", "completed_unpaid", "succeeded"], "paid", 50],
    [["completed_unpaid", "failed"], "canceled", 0],
    [["failed", "completed_unpaid"], "canceled", 0],
    [["expired"], "expired", 0],
    [["expired", "expired"], "expired", 0],
    [["completed_paid", "expired"], "paid", 50],
    // Money that came for one that we held for over is money.
    [["expired", "completed_paid"], "paid", 50],
    [["failed", "succeeded"], "paid", 50],
    [["succeeded", "failed"], "paid", 50],
  ];

  test.for(orders)("A5 %j: %s", async ([events, state, credits], { db }) => {
    const till = new Till(db);
    const { customer, ...it } = await buyer(till);
    for (const event of events) {
      expect(await till.send("checkout.session", says[event](customer, it))).toMatchObject({ state: "applied" });
    }
    expect(await purchaseOf(db, it.purchase)).toMatchObject({ state, is_over: true, is_checked: false, url: null });
    expect(await till.credits(customer.workspace)).toEqual(credits === 0 ? {} : { bulk: credits });
  });

  test("a payment on its way is asked for every six hours, and never more often", async ({ db }) => {
    const till = new Till(db);
    const { customer, ...it } = await buyer(till);
    expect(await till.send("x", says.completed_unpaid(customer, it))).toMatchObject({ outcome: "awaits_payment" });
    expect(await purchaseOf(db, it.purchase)).toMatchObject({ state: "pending", awaits_payment: "async", url: null });
    const due = async () =>
      (await call<{ ids: string[] }>(db, "payments.claim_checks", { batch: 100, lease: "1 minute" })).ids.filter(
        (id) => id === it.purchase,
      );
    for (const round of [1, 2]) {
      await advance(db, "5 hours 59 minutes");
      expect([round, await due()]).toEqual([round, []]);
      await advance(db, "2 minutes");
      expect(await due()).toEqual([it.purchase]);
      expect(await syncCheckout(db, it.purchase, says.completed_unpaid(customer, it))).toMatchObject({
        state: "pending",
      });
    }
    expect(await syncCheckout(db, it.purchase, says.completed_paid(customer, it))).toMatchObject({ state: "paid" });
    expect(await till.credits(customer.workspace)).toEqual({ bulk: 50 });
  });
});

describe("what a paid purchase gives", () => {
  test("A5 packs add up, each payment once: 50 + 100 + 250", async ({ db }) => {
    const till = new Till(db);
    const customer = await till.customer();
    for (const quantity of [50, 100, 250]) {
      const checkout = await till.checkout(customer, { pack: await till.pack(quantity) });
      for (let i = 0; i < 2; i += 1) await till.send("x", says.completed_paid(customer, checkout));
    }
    expect(await till.credits(customer.workspace)).toEqual({ bulk: 400 });
  });

  test("three of a pack give three times as much; a token is a token and no credit", async ({ db }) => {
    const till = new Till(db);
    const [pack, token] = [await till.pack(7), await till.pack(2, { kind: "retail_token" })];
    const customer = await till.customer();
    for (const offer of [pack, token]) {
      const checkout = await till.checkout(customer, { pack: offer, quantity: 3 });
      await till.send("x", checkoutFact(customer, checkout, { amount_total: 3000 }));
    }
    expect(await till.credits(customer.workspace)).toEqual({ bulk: 21 });
    expect(await new Account(db, { owner: customer.workspace, unit: "retail_token" }).sums()).toEqual([6, 0, 0]);
  });

  test("nothing to pay counts as paid of a plan's trial, and of nothing that is paid once", async ({ db }) => {
    const till = new Till(db);
    const { customer, ...it } = await buyer(till);
    const nothing = { payment_status: "no_payment_required", amount_total: 0 };
    expect(await till.send("x", checkoutFact(customer, it, nothing))).toMatchObject({ outcome: "does_not_fit" });
    expect(await till.credits(customer.workspace)).toEqual({});
    expect(await paymentOf(db, it.session)).toMatchObject({ amount_minor: 0, purchase_id: it.purchase });
    const other = await till.customer();
    const trial = await till.checkout(other, { plan: await till.plan({ trial_days: 7 }) });
    const begun = { mode: "subscription", subscription: `sub_${trial.session}`, ...nothing };
    expect(await till.send("x", checkoutFact(other, trial, begun))).toMatchObject({ outcome: "paid" });
  });

  test("the customer is told what was paid, not what was quoted; of a payment of nothing he is told nothing", async ({
    db,
  }) => {
    const till = new Till(db);
    const paid = async (fact: object) => {
      const customer = await till.customer();
      const it = await till.checkout(customer, { plan: await till.plan({ trial_days: 7 }) });
      const begun = { mode: "subscription", subscription: `sub_${it.session}`, ...fact };
      expect(await till.send("x", checkoutFact(customer, it, begun))).toMatchObject({ outcome: "paid" });
      return rows(
        db,
        `select (body ->> 'amount_minor')::int as amount_minor, body ->> 'currency' as currency
           from messages.outbox where workspace_id = $1 and kind = 'purchase_paid'`,
        [customer.workspace],
      );
    };
    expect(await paid({ payment_status: "no_payment_required", amount_total: 0 })).toEqual([]);
    // With a tax on top of the price.
    expect(await paid({ amount_total: 1234 })).toEqual([{ amount_minor: 1234, currency: "eur" }]);
  });

  test("money of another currency is kept without effect, under an alarm, and its refund too", async ({ db }) => {
    const till = new Till(db);
    for (const refunded_first of [false, true]) {
      const { customer, ...it } = await buyer(till);
      const intent = `pi_${it.session}`;
      const events: Fact[] = [
        checkoutFact(customer, it, { currency: "usd", payment_intent: intent }),
        refund(intent, 1000),
      ];
      for (const fact of refunded_first ? events.toReversed() : events) await till.send("x", fact);
      expect(await till.credits(customer.workspace)).toEqual({});
      expect(await paymentOf(db, it.session)).toMatchObject({ currency: "usd", amount_minor: 1000, refunded: 1000 });
      expect(await purchaseOf(db, it.purchase)).toMatchObject({ state: "refunded" });
      const alarms = await rows(
        db,
        "select detail from ops.alarm where code = 'payment_does_not_fit' and subject = $1",
        [`purchase:${it.purchase}`],
      );
      expect(alarms).toMatchObject([{ detail: { currency: "usd", expected_currency: "eur" } }]);
    }
  });

  test("a plan's checkout without a subscription is stored with its error", async ({ db }) => {
    const till = new Till(db);
    const customer = await till.customer();
    const it = await till.checkout(customer, { plan: await till.plan() });
    const event = till.event("x", checkoutFact(customer, it, { mode: "subscription" }));
    expect(await till.deliver(event)).toMatchObject({ state: "failed" });
    expect(await purchaseOf(db, it.purchase)).toMatchObject({ state: "pending" });
    await db.query("delete from ops.event where id = $1", [event.id]);
  });

  test("a plan's payment is its invoice's, whichever tells first, with the invoice's amount", async ({ db }) => {
    const till = new Till(db);
    const plan = await till.plan({ included_credits: 20 });
    for (const invoice_first of [false, true]) {
      const customer = await till.customer();
      const it = await till.checkout(customer, { plan });
      const subscription = `sub_${it.session}`;
      const paid = invoiceFact(customer, subscription, plan.price, {
        billing_reason: "subscription_create",
        amount_paid: 1900,
      });
      const session = checkoutFact(customer, it, {
        mode: "subscription",
        subscription,
        invoice: paid.invoice,
        amount_total: 2000,
      });
      for (const fact of invoice_first ? [paid, session] : [session, paid]) await till.send("x", fact);
      expect(await paymentOf(db, paid.invoice)).toMatchObject({ amount_minor: 1900, purchase_id: it.purchase });
      expect(await rows(db, "select from payments.payment where workspace_id = $1", [customer.workspace])).toHaveLength(
        1,
      );
      expect(await till.credits(customer.workspace)).toEqual({ subscription: 20 });
    }
  });
});

describe("whose session it is", () => {
  test("a session that we died before writing down is found by the purchase that it carries", async ({ db }) => {
    const till = new Till(db);
    const [pack, customer] = [await till.pack(50), await till.customer()];
    const { id } = await start(db, customer.workspace, { pack: pack.code });
    const it = { purchase: id, session: `cs_lost_${id}` };
    expect(await till.send("x", says.completed_paid(customer, it))).toMatchObject({ outcome: "paid" });
    expect(await purchaseOf(db, id)).toMatchObject({ state: "paid", provider_id: it.session });
  });

  test("a session that claims another workspace's purchase, or one that has a session, is refused", async ({ db }) => {
    const till = new Till(db);
    const [pack, customer, thief] = [await till.pack(50), await till.customer(), await till.customer()];
    const { id } = await start(db, customer.workspace, { pack: pack.code });
    const taken = await till.checkout(customer, { pack });
    const claims: [Customer, Session][] = [
      [thief, { purchase: id, session: "cs_thief" }],
      [
        { workspace: "", customer: "cus_nobody" },
        { purchase: id, session: "cs_nobody" },
      ],
      [customer, { purchase: taken.purchase, session: "cs_second" }],
    ];
    for (const [whose, it] of claims) {
      const event = till.event("x", says.completed_paid(whose, it));
      expect(await till.deliver(event)).toMatchObject({ state: "failed" });
      expect(await till.errorOf(event)).toBe(
        `TG011: session ${it.session} claims purchase ${it.purchase}, whose it is not`,
      );
      await db.query("delete from ops.event where id = $1", [event.id]);
    }
    expect(await till.credits(customer.workspace)).toEqual({});
    expect(await till.credits(thief.workspace)).toEqual({});
    const foreign = checkoutFact(customer, { purchase: "", session: "cs_foreign" }, { purchase: null });
    expect(await till.send("x", foreign)).toMatchObject({ outcome: "not_ours" });
  });
});
