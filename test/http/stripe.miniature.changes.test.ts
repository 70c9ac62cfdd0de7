import type { Stripe } from "stripe";
import { expect } from "vitest";
import { test } from "../support/shop.ts";
import type { Shop } from "../support/shop.ts";

const day = 86_400_000;

function dateOf(seconds = 0): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

function invoicesOf(shop: Shop, subscription: string): Promise<Stripe.ApiList<Stripe.Invoice>> {
  return shop.stripe.invoices.list({ subscription });
}

// 2027-02-14T10:00 is half of the 28 days from Jan 31 to Feb 28.
const half = new Date("2027-02-14T10:00:00Z");

test("the stand-in bills an upgrade at once, by the seconds that are left", async ({ open }) => {
  const shop = await open();
  const { subscription } = await shop.subscriber(1000, 2);
  const bigger = await shop.price(3000, "month");
  await shop.world.advance(half);
  const { items } = await shop.stripe.subscriptions.retrieve(subscription);
  const changed = await shop.stripe.subscriptions.update(subscription, {
    items: [{ id: items.data[0]?.id ?? "", price: bigger, quantity: 2 }],
    proration_behavior: "always_invoice",
    expand: ["latest_invoice"],
  });
  expect(changed).toMatchObject({
    items: { data: [{ id: items.data[0]?.id, price: { id: bigger }, quantity: 2 }] },
    latest_invoice: {
      billing_reason: "subscription_update",
      status: "paid",
      total: 2000,
      lines: {
        data: [
          { amount: -1000, parent: { subscription_item_details: { proration: true } } },
          { amount: 3000, pricing: { price_details: { price: bigger } } },
        ],
      },
    },
  });
  const [updated] = shop.world.events("customer.subscription.updated").slice(-1);
  expect(updated?.data.previous_attributes).toMatchObject({ items: { data: [{ price: { unit_amount: 1000 } }] } });
});

test("the stand-in puts other prorations on the next invoice, and none where none are wanted", async ({ open }) => {
  const shop = await open();
  const { subscription } = await shop.subscriber(1000, 1);
  await shop.world.advance(half);
  const { items } = await shop.stripe.subscriptions.retrieve(subscription);
  const id = items.data[0]?.id ?? "";
  await shop.stripe.subscriptions.update(subscription, { items: [{ id, quantity: 3 }] });
  await shop.stripe.subscriptions.update(subscription, {
    items: [{ id, quantity: 4 }],
    proration_behavior: "none",
  });
  expect((await invoicesOf(shop, subscription)).data).toHaveLength(1);
  await shop.world.advance(new Date("2027-02-28T11:00:00Z"));
  const [renewal] = (await invoicesOf(shop, subscription)).data;
  expect(renewal?.lines.data.map(({ amount }) => amount)).toEqual([-500, 1500, 4000]);
  expect(renewal).toMatchObject({ billing_reason: "subscription_cycle", total: 5000 });
});

test("the stand-in keeps what a downgrade gives back as the customer's credit", async ({ open }) => {
  const shop = await open();
  const { subscription, customer } = await shop.subscriber(1000, 4);
  await shop.world.advance(half);
  const { items } = await shop.stripe.subscriptions.retrieve(subscription);
  await shop.stripe.subscriptions.update(subscription, {
    items: [{ id: items.data[0]?.id ?? "", quantity: 1 }],
    proration_behavior: "always_invoice",
  });
  expect(await shop.stripe.customers.retrieve(customer)).toMatchObject({ balance: -1500 });
  await shop.world.advance(new Date("2027-02-28T11:00:00Z"));
  expect((await invoicesOf(shop, subscription)).data[0]).toMatchObject({
    total: 1000,
    amount_due: 0,
    status: "paid",
  });
  expect(await shop.stripe.customers.retrieve(customer)).toMatchObject({ balance: -500 });
});

test("the stand-in begins a new period when the interval changes, and refuses what cannot be paid", async ({
  open,
}) => {
  const shop = await open();
  const { subscription, customer } = await shop.subscriber(1000);
  const yearly = await shop.price(10_000, "year");
  await shop.world.advance(half);
  const { items } = await shop.stripe.subscriptions.retrieve(subscription);
  const wish = { items: [{ id: items.data[0]?.id ?? "", price: yearly }] };
  shop.world.setCard(customer, "declines");
  const refused = shop.stripe.subscriptions.update(subscription, {
    ...wish,
    payment_behavior: "error_if_incomplete",
  });
  await expect(refused).rejects.toMatchObject({ statusCode: 402 });
  shop.world.setCard(customer, "pays");
  const changed = await shop.stripe.subscriptions.update(subscription, { ...wish, expand: ["latest_invoice"] });
  expect(changed).toMatchObject({ latest_invoice: { total: 9500, billing_reason: "subscription_update" } });
  expect(dateOf(changed.items.data[0]?.current_period_end)).toBe("2028-02-14");
});

test("the stand-in makes a pending change once its invoice is paid, and not before", async ({ open }) => {
  const shop = await open();
  const { subscription, customer, price } = await shop.subscriber(1000);
  const bigger = await shop.price(3000, "month");
  await shop.world.advance(half);
  const { items } = await shop.stripe.subscriptions.retrieve(subscription);
  const id = items.data[0]?.id ?? "";
  const upgrade = () =>
    shop.stripe.subscriptions.update(subscription, {
      items: [{ id, price: bigger }],
      proration_behavior: "always_invoice",
      payment_behavior: "pending_if_incomplete",
    });
  shop.world.setCard(customer, "declines");
  expect(await upgrade()).toMatchObject({
    status: "active",
    items: { data: [{ price: { id: price } }] },
    pending_update: { subscription_items: [{ price: { id: bigger } }] },
  });
  const [invoice] = (await invoicesOf(shop, subscription)).data;
  expect(invoice).toMatchObject({ billing_reason: "subscription_update", status: "open", total: 1000 });
  shop.world.setCard(customer, "pays");
  await shop.stripe.invoices.pay(invoice?.id ?? "");
  expect(await shop.stripe.subscriptions.retrieve(subscription)).toMatchObject({
    items: { data: [{ id, price: { id: bigger } }] },
    pending_update: null,
  });
  expect(shop.world.events("customer.subscription.pending_update_applied")).toHaveLength(1);
});

test("the stand-in forgets a pending change that is not paid within 23 hours", async ({ open }) => {
  const shop = await open();
  const { subscription, customer, price } = await shop.subscriber(1000);
  const bigger = await shop.price(3000, "month");
  const { items } = await shop.stripe.subscriptions.retrieve(subscription);
  shop.world.setCard(customer, "needs_action");
  const wish = { items: [{ id: items.data[0]?.id ?? "", price: bigger }] };
  await shop.stripe.subscriptions.update(subscription, {
    ...wish,
    proration_behavior: "always_invoice",
    payment_behavior: "pending_if_incomplete",
  });
  expect(shop.world.events("invoice.payment_action_required")).toHaveLength(1);
  await shop.world.advance(day);
  expect(await shop.stripe.subscriptions.retrieve(subscription, { expand: ["latest_invoice"] })).toMatchObject({
    status: "active",
    items: { data: [{ price: { id: price } }] },
    pending_update: null,
    latest_invoice: { status: "void" },
  });
  const more = { ...wish, metadata: { a: "b" }, payment_behavior: "pending_if_incomplete" } as const;
  await expect(shop.stripe.subscriptions.update(subscription, more)).rejects.toMatchObject({ param: "metadata" });
});

test("the stand-in shows ten lines of an invoice, and lists the rest", async ({ open }) => {
  const shop = await open();
  const { subscription } = await shop.subscriber(1000);
  const { items } = await shop.stripe.subscriptions.retrieve(subscription, { expand: ["schedule"] });
  for (let quantity = 2; quantity < 8; quantity += 1) {
    await shop.stripe.subscriptions.update(subscription, { items: [{ id: items.data[0]?.id ?? "", quantity }] });
  }
  await shop.world.advance(31 * day);
  const [invoice] = (await invoicesOf(shop, subscription)).data;
  expect([invoice?.lines.data.length, invoice?.lines.has_more]).toEqual([10, true]);
  const all = await shop.stripe.invoices.listLineItems(invoice?.id ?? "", { limit: 100 });
  expect([all.data.length, all.data.at(-1)?.amount]).toEqual([13, 7000]);
});

test("the stand-in changes a plan when a schedule's phase comes, and then lets the subscription go on", async ({
  open,
}) => {
  const shop = await open();
  const { subscription, price } = await shop.subscriber(3000, 2);
  const smaller = await shop.price(1000, "month");
  const schedule = await shop.stripe.subscriptionSchedules.create({ from_subscription: subscription });
  const [now] = schedule.phases;
  await shop.stripe.subscriptionSchedules.update(schedule.id, {
    end_behavior: "release",
    phases: [
      { items: [{ price, quantity: 2 }], start_date: now?.start_date ?? 0, end_date: now?.end_date ?? 0 },
      { items: [{ price: smaller, quantity: 1 }], duration: { interval: "month" }, proration_behavior: "none" },
    ],
  });
  const cancel = shop.stripe.subscriptions.update(subscription, { cancel_at_period_end: true });
  await expect(cancel).rejects.toThrow("managed by the subscription schedule");
  await shop.world.advance(new Date("2027-03-01T00:00:00Z"));
  expect(await shop.stripe.subscriptions.retrieve(subscription, { expand: ["latest_invoice"] })).toMatchObject({
    items: { data: [{ price: { id: smaller }, quantity: 1 }] },
    latest_invoice: { total: 1000, billing_reason: "subscription_cycle" },
  });
  await shop.world.advance(new Date("2027-04-01T00:00:00Z"));
  expect(await shop.stripe.subscriptionSchedules.retrieve(schedule.id)).toMatchObject({
    status: "released",
    released_subscription: subscription,
  });
  expect(await shop.stripe.subscriptions.retrieve(subscription)).toMatchObject({ status: "active", schedule: null });
  expect(shop.world.events("subscription_schedule.released")).toHaveLength(1);
});

test("the stand-in releases a schedule when told, and the plan stays", async ({ open }) => {
  const shop = await open();
  const { subscription, price } = await shop.subscriber(3000);
  const { id } = await shop.stripe.subscriptionSchedules.create({ from_subscription: subscription });
  expect((await shop.stripe.subscriptionSchedules.release(id)).status).toBe("released");
  await expect(shop.stripe.subscriptionSchedules.release(id)).rejects.toMatchObject({ statusCode: 400 });
  expect(await shop.stripe.subscriptions.retrieve(subscription)).toMatchObject({
    schedule: null,
    items: { data: [{ price: { id: price } }] },
  });
});
