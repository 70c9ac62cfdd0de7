import { describe, expect } from "vitest";
import { test } from "../support/shop.ts";
import { idOf } from "../world/stripe/ids.ts";

const success_url = "https://shop.example/done?session={CHECKOUT_SESSION_ID}";
const cancel_url = "https://shop.example/cart";

describe("the pay page", () => {
  test("the stand-in's pay page takes a payment, tells of it in events, and sends the person back", async ({
    open,
  }) => {
    const shop = await open();
    const session = await shop.stripe.checkout.sessions.create({
      mode: "payment",
      line_items: [{ price: await shop.price(500), quantity: 3 }],
      payment_intent_data: { metadata: { purchase: "p1" } },
      client_reference_id: "p1",
      success_url,
      cancel_url,
    });
    expect(session).toMatchObject({
      status: "open",
      payment_status: "unpaid",
      amount_total: 1500,
      payment_intent: null,
    });
    const page = await fetch(session.url ?? "");
    expect(await page.text()).toMatch(/\$15\.00[^]*value="pay"/);
    await shop.world.settled();
    shop.taken();
    const paid = await fetch(session.url ?? "", form({ outcome: "pay" }));
    expect([paid.status, paid.headers.get("location")]).toEqual([
      303,
      `https://shop.example/done?session=${session.id}`,
    ]);
    expect(shop.taken()).toEqual([
      "payment_intent.created",
      "charge.succeeded",
      "payment_intent.succeeded",
      "checkout.session.completed",
    ]);
    const done = await shop.stripe.checkout.sessions.retrieve(session.id, {
      expand: ["payment_intent.latest_charge", "line_items"],
    });
    expect(done).toMatchObject({
      status: "complete",
      payment_status: "paid",
      url: null,
      payment_intent: {
        status: "succeeded",
        metadata: { purchase: "p1" },
        latest_charge: { amount: 1500, paid: true },
      },
      line_items: { data: [{ quantity: 3, amount_total: 1500 }] },
    });
    expect((await fetch(`${shop.world.url}/pay/${session.id}`)).status).toBe(410);
  });

  test("the stand-in's pay page goes back to the shop on a cancel, and stays open when the card declines", async ({
    open,
  }) => {
    const shop = await open();
    const line_items = [{ price: await shop.price(500), quantity: 1 }];
    const session = await shop.stripe.checkout.sessions.create({
      mode: "payment",
      line_items,
      success_url,
      cancel_url,
    });
    const cancelled = await fetch(session.url ?? "", form({ outcome: "cancel" }));
    expect([cancelled.status, cancelled.headers.get("location")]).toEqual([303, cancel_url]);
    const declined = await fetch(session.url ?? "", form({ outcome: "decline" }));
    expect([declined.status, await declined.text()]).toEqual([200, expect.stringContaining("declined")]);
    await shop.world.settled();
    expect(shop.taken()).toContain("payment_intent.payment_failed");
    expect((await shop.stripe.checkout.sessions.retrieve(session.id)).status).toBe("open");
    expect((await fetch(session.url ?? "", form({ outcome: "pay" }))).status).toBe(303);
  });

  test("the stand-in takes no payment from another site's page", async ({ open }) => {
    const shop = await open();
    const line_items = [{ price: await shop.price(500), quantity: 1 }];
    const session = await shop.stripe.checkout.sessions.create({ mode: "payment", line_items, success_url });
    const foreign = { ...form({ outcome: "pay" }), headers: { Origin: "https://evil.example" } };
    expect((await fetch(session.url ?? "", foreign)).status).toBe(403);
    expect(shop.world.state.charges.size).toBe(0);
  });
});

test("the stand-in's subscription checkout makes the subscription, its first invoice and its payment", async ({
  open,
}) => {
  const shop = await open();
  const { subscription, customer, session } = await shop.subscriber(1000, 2);
  expect(shop.taken().slice(3)).toEqual([
    "invoice.created",
    "customer.subscription.created",
    "invoice.finalized",
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "invoice_payment.paid",
    "customer.subscription.updated",
    "invoice.updated",
    "invoice.paid",
    "invoice.payment_succeeded",
    "checkout.session.completed",
  ]);
  expect(shop.world.events("customer.subscription.created")).toMatchObject([
    { data: { object: { status: "incomplete" } } },
  ]);
  const found = await shop.stripe.subscriptions.retrieve(subscription, { expand: ["latest_invoice.payments"] });
  const start = Date.parse("2027-01-31T10:00:00Z") / 1000;
  const end = Date.parse("2027-02-28T10:00:00Z") / 1000;
  expect(found).toMatchObject({
    status: "active",
    customer,
    items: { data: [{ quantity: 2, current_period_start: start, current_period_end: end }] },
    latest_invoice: {
      billing_reason: "subscription_create",
      status: "paid",
      amount_paid: 2000,
      parent: { subscription_details: { subscription } },
      lines: { data: [{ amount: 2000, period: { start, end } }] },
      payments: { data: [{ status: "paid", payment: { type: "payment_intent" } }] },
    },
  });
  const invoice = found.latest_invoice;
  const intent = typeof invoice === "object" ? invoice?.payments?.data[0]?.payment.payment_intent : undefined;
  const payments = await shop.stripe.invoicePayments.list({
    payment: { type: "payment_intent", payment_intent: idOf(intent) ?? "" },
  });
  expect(payments.data).toMatchObject([{ invoice: typeof invoice === "object" ? invoice?.id : "" }]);
  const sessions = await shop.stripe.checkout.sessions.list({ subscription });
  expect(sessions.data).toMatchObject([{ id: session, payment_status: "paid", invoice: payments.data[0]?.invoice }]);
});

test("the stand-in asks no payment for a trial, nor for what costs nothing", async ({ open }) => {
  const shop = await open();
  const { subscription, session } = await shop.subscriber(1000, 1, 14);
  expect(await shop.stripe.subscriptions.retrieve(subscription, { expand: ["latest_invoice"] })).toMatchObject({
    status: "trialing",
    latest_invoice: { billing_reason: "subscription_create", status: "paid", amount_due: 0 },
  });
  expect(shop.world.state.sessions.get(session)?.payment_status).toBe("no_payment_required");
  const line_items = [{ price: await shop.price(0), quantity: 1 }];
  const free = await shop.stripe.checkout.sessions.create({ mode: "payment", line_items, success_url });
  expect(shop.world.pay(free.id)).toMatchObject({ payment_status: "no_payment_required", payment_intent: null });
});

describe("delayed payments", () => {
  test.for([
    [true, "paid", "succeeded", "checkout.session.async_payment_succeeded"],
    [false, "unpaid", "requires_payment_method", "checkout.session.async_payment_failed"],
  ] as const)(
    "the stand-in decides a delayed payment some days later: %s",
    async ([succeeds, status, intent, type], { open }) => {
      const shop = await open();
      const line_items = [{ price: await shop.price(500), quantity: 1 }];
      const session = await shop.stripe.checkout.sessions.create({ mode: "payment", line_items, success_url });
      const accepted = shop.world.pay(session.id, succeeds ? "later_succeeds" : "later_fails");
      expect(accepted).toMatchObject({ status: "complete", payment_status: "unpaid" });
      await shop.world.advance(2 * 86_400_000);
      expect(shop.world.events(type)).toEqual([]);
      await shop.world.advance(2 * 86_400_000);
      expect(shop.world.events(type)).toMatchObject([{ data: { object: { id: session.id, payment_status: status } } }]);
      expect(await shop.stripe.paymentIntents.retrieve(idOf(accepted.payment_intent) ?? "")).toMatchObject({
        status: intent,
      });
    },
  );
});

test("the stand-in's sessions expire after a day, or when told, and then take no payment", async ({ open }) => {
  const shop = await open();
  const line_items = [{ price: await shop.price(500), quantity: 1 }];
  const create = () => shop.stripe.checkout.sessions.create({ mode: "payment", line_items, success_url });
  const [left, told] = [await create(), await create()];
  expect(await shop.stripe.checkout.sessions.expire(told.id)).toMatchObject({ status: "expired", url: null });
  await expect(shop.stripe.checkout.sessions.expire(told.id)).rejects.toMatchObject({ statusCode: 400 });
  await shop.world.advance(25 * 3600_000);
  expect(shop.world.events("checkout.session.expired")).toHaveLength(2);
  expect(shop.world.events("checkout.session.expired").at(-1)?.created).toBe(left.expires_at);
  expect(() => shop.world.pay(left.id)).toThrow("expired");
});

test("the stand-in refuses checkouts that Stripe refuses", async ({ open }) => {
  const { stripe, price } = await open();
  const monthly = await price(500, "month");
  const line_items = [{ price: monthly, quantity: 1 }];
  await expect(stripe.checkout.sessions.create({ mode: "payment", line_items, success_url })).rejects.toThrow(
    "recurring price",
  );
  const wish = { mode: "subscription" as const, line_items, success_url };
  await expect(stripe.checkout.sessions.create({ ...wish, customer: "cus_none" })).rejects.toMatchObject({
    code: "resource_missing",
    param: "customer",
  });
  const soon = Math.floor(Date.parse("2027-01-31T10:10:00Z") / 1000);
  await expect(stripe.checkout.sessions.create({ ...wish, expires_at: soon })).rejects.toMatchObject({
    param: "expires_at",
  });
});

function form(fields: Record<string, string>): RequestInit {
  return { method: "POST", body: new URLSearchParams(fields), redirect: "manual" };
}
