import { expect } from "vitest";
import { Account } from "../support/scenario.ts";
import { Till, checkoutFact, invoiceFact, subscriptionFact } from "../support/till.ts";
import { test } from "../support/sql.ts";

test("A3 a renewal sets subscription credits to the plan's amount and leaves bulk credits alone: 5 + 50 → 20 + 50", async ({
  db,
}) => {
  const till = new Till(db);
  const [plan, customer] = [await till.plan({ included_credits: 20 }), await till.customer()];
  const account = new Account(db, { owner: customer.workspace });
  await till.send(
    "invoice.paid",
    invoiceFact(customer, "sub_a3", plan.price, { billing_reason: "subscription_create" }),
  );
  await account.grant(50);
  await account.spend(15);
  expect(await till.credits(customer.workspace)).toEqual({ subscription: 5, bulk: 50 });
  const next = { starts_at: 1_792_592_000, ends_at: 1_795_184_000 };
  const received = await till.send("invoice.paid", invoiceFact(customer, "sub_a3", plan.price, next));
  expect(received).toMatchObject({ state: "applied", outcome: "given" });
  const { rows } = await db.query(
    `select count(*)::int as payments from payments.payment p join billing.subscription s on s.id = p.subscription_id
      where s.provider_id = 'sub_a3'`,
  );
  expect(rows).toEqual([{ payments: 2 }]);
  expect(await till.credits(customer.workspace)).toEqual({ subscription: 20, bulk: 50 });
});

test("A5 A pack adds its credits once, whichever of two event ids says so", async ({ db }) => {
  const till = new Till(db);
  const [pack, customer] = [await till.pack(50), await till.customer()];
  const checkout = await till.checkout(customer, { pack });
  const fact = checkoutFact(customer, checkout, { payment_intent: "pi_a5" });
  expect(await till.send("checkout.session.completed", fact)).toMatchObject({ state: "applied", outcome: "paid" });
  expect(await till.send("checkout.session.completed", fact)).toMatchObject({ state: "applied", outcome: "known" });
  expect(await till.credits(customer.workspace)).toEqual({ bulk: 50 });
});

test("B2 a plan's checkout and its invoice say one period, whichever comes first", async ({ db }) => {
  const till = new Till(db);
  const plan = await till.plan({ included_credits: 20, seats: 3 });
  for (const first of ["checkout", "invoice"]) {
    const customer = await till.customer();
    const checkout = await till.checkout(customer, { plan });
    const id = `sub_${first}`;
    const invoice = invoiceFact(customer, id, plan.price, { billing_reason: "subscription_create" });
    const session = checkoutFact(customer, checkout, {
      mode: "subscription",
      subscription: id,
      invoice: invoice.invoice,
    });
    const events = [till.event("checkout.session.completed", session), till.event("invoice.paid", invoice)];
    for (const event of first === "checkout" ? events : events.toReversed()) {
      expect(await till.deliver(event)).toMatchObject({ state: "applied" });
    }
    await till.send("customer.subscription.created", subscriptionFact(customer, id, plan.price, { event: "created" }));
    expect(await till.credits(customer.workspace)).toEqual({ subscription: 20 });
    const { rows } = await db.query(
      "select s.state, s.seats_given from billing.subscription s where s.provider_id = $1",
      [id],
    );
    expect(rows).toEqual([{ state: "active", seats_given: "3" }]);
  }
});

test("what a payment gave is taken back as far as it is refunded, and given again when the refund fails", async ({
  db,
}) => {
  const till = new Till(db);
  const [pack, customer] = [await till.pack(100), await till.customer()];
  const checkout = await till.checkout(customer, { pack });
  await till.send("refund.created", {
    kind: "refund",
    refund: "re_1",
    payment_intent: "pi_r",
    charge: "ch_r",
    amount: 250,
    status: "succeeded",
    created: 1,
  });
  await till.send("checkout.session.completed", checkoutFact(customer, checkout, { payment_intent: "pi_r" }));
  expect(await till.credits(customer.workspace)).toEqual({ bulk: 75 });
  await till.send("charge.refunded", {
    kind: "charge",
    charge: "ch_r",
    payment_intent: "pi_r",
    customer: customer.customer,
    amount: 1000,
    amount_refunded: 1000,
  });
  expect(await till.credits(customer.workspace)).toEqual({});
  await till.send("refund.failed", {
    kind: "refund",
    refund: "re_2",
    payment_intent: "pi_r",
    charge: "ch_r",
    amount: 750,
    status: "failed",
    created: 1,
  });
  expect(await till.credits(customer.workspace)).toEqual({ bulk: 75 });
});

test("who owes has a grace, then the workspace is read-only, and is not when it has paid", async ({ db }) => {
  const till = new Till(db);
  const [plan, customer] = [await till.plan({ grace_days: 7 }), await till.customer()];
  const now = Math.floor(Date.now() / 1000);
  const fact = (more: Record<string, unknown>) => subscriptionFact(customer, "sub_grace", plan.price, more);
  await till.send("customer.subscription.created", fact({ event: "created" }), now - 100);
  await till.send("customer.subscription.updated", fact({ status: "past_due" }), now - 50);
  const { rows } = await db.query(
    "select round(extract(epoch from read_only_from))::int as at, read_only_reason as reason from people.workspace where id = $1",
    [customer.workspace],
  );
  expect(rows).toEqual([{ at: now - 50 + 7 * 86_400, reason: "past_due" }]);
  await till.send("customer.subscription.updated", fact({}), now - 10);
  const after = await db.query("select read_only_from from people.workspace where id = $1", [customer.workspace]);
  expect(after.rows).toEqual([{ read_only_from: null }]);
});
