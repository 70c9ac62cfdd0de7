import type { Stripe } from "stripe";
import { describe, expect } from "vitest";
import { test } from "../support/shop.ts";
import type { Shop } from "../support/shop.ts";

const day = 86_400_000;

/** The days on which a subscription's periods begin and end, by its invoices, oldest first. */
async function periods(shop: Shop, subscription: string): Promise<string[][]> {
  const { data } = await shop.stripe.invoices.list({ subscription, limit: 100 });
  return data
    .toReversed()
    .map(({ lines }) => lines.data.at(-1)?.period)
    .map((period) => [dateOf(period?.start), dateOf(period?.end)]);
}

function dateOf(seconds = 0): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

function invoicesOf(shop: Shop, subscription: string): Promise<Stripe.ApiList<Stripe.Invoice>> {
  return shop.stripe.invoices.list({ subscription });
}

describe("renewals", () => {
  test("the stand-in renews for 13 months from Jan 31 without drifting from the month's end", async ({ open }) => {
    const shop = await open();
    const { subscription } = await shop.subscriber(1000);
    await shop.world.advance(new Date("2028-03-01T00:00:00Z"));
    const found = await periods(shop, subscription);
    expect(found.map(([start]) => start)).toEqual([
      "2027-01-31",
      "2027-02-28",
      "2027-03-31",
      "2027-04-30",
      "2027-05-31",
      "2027-06-30",
      "2027-07-31",
      "2027-08-31",
      "2027-09-30",
      "2027-10-31",
      "2027-11-30",
      "2027-12-31",
      "2028-01-31",
      "2028-02-29",
    ]);
    const { data } = await shop.stripe.invoices.list({ subscription, limit: 100 });
    expect(new Set(data.slice(0, -1).map(({ billing_reason: why, status }) => `${why} ${status}`))).toEqual(
      new Set(["subscription_cycle paid"]),
    );
    const renewed = shop.world.events("invoice.paid").map(({ created }) => dateOf(created));
    expect(renewed).toEqual(found.map(([start]) => start));
  });

  test("the stand-in keeps a renewal's invoice as a draft for the hour that Stripe does, when told to", async ({
    open,
  }) => {
    const shop = await open(undefined, { policies: { draft_seconds: 3600 } });
    const { subscription } = await shop.subscriber(1000);
    await shop.world.advance(new Date("2027-02-28T10:30:00Z"));
    expect((await invoicesOf(shop, subscription)).data[0]?.status).toBe("draft");
    await shop.world.advance(new Date("2027-02-28T11:30:00Z"));
    expect((await invoicesOf(shop, subscription)).data[0]?.status).toBe("paid");
  });

  test("the stand-in announces a trial's end three days before, and then bills the first period", async ({ open }) => {
    const shop = await open();
    const { subscription } = await shop.subscriber(1000, 1, 14);
    await shop.world.advance(12 * day);
    const [announced] = shop.world.events("customer.subscription.trial_will_end");
    expect(dateOf(announced?.created)).toBe("2027-02-11");
    await shop.world.advance(3 * day);
    expect(await shop.stripe.subscriptions.retrieve(subscription, { expand: ["latest_invoice"] })).toMatchObject({
      status: "active",
      latest_invoice: { billing_reason: "subscription_cycle", amount_paid: 1000 },
    });
    expect((await periods(shop, subscription)).at(-1)).toEqual(["2027-02-14", "2027-03-14"]);
  });
});

describe("failed payments", () => {
  test("the stand-in tries again on the policy's days, leaves unpaid, and is active once the card is mended", async ({
    open,
  }) => {
    const shop = await open();
    const { subscription, customer } = await shop.subscriber(1000);
    shop.world.setCard(customer, "declines");
    await shop.world.advance(new Date("2027-02-28T12:00:00Z"));
    expect((await shop.stripe.subscriptions.retrieve(subscription)).status).toBe("past_due");
    await shop.world.advance(new Date("2027-03-20T12:00:00Z"));
    const failures = shop.world.events("invoice.payment_failed").map(({ created }) => dateOf(created));
    expect(failures).toEqual(["2027-02-28", "2027-03-01", "2027-03-04", "2027-03-09"]);
    expect((await shop.stripe.subscriptions.retrieve(subscription)).status).toBe("unpaid");
    const [invoice] = (await invoicesOf(shop, subscription)).data;
    expect(invoice).toMatchObject({ status: "open", attempt_count: 4, next_payment_attempt: null });
    await expect(shop.stripe.invoices.pay(invoice?.id ?? "")).rejects.toMatchObject({
      statusCode: 402,
      code: "card_declined",
    });
    shop.world.setCard(customer, "pays");
    expect((await shop.stripe.invoices.pay(invoice?.id ?? "")).status).toBe("paid");
    expect((await shop.stripe.subscriptions.retrieve(subscription)).status).toBe("active");
  });

  test("the stand-in recovers by itself when the card is mended before the next attempt", async ({ open }) => {
    const shop = await open();
    const { subscription, customer } = await shop.subscriber(1000);
    shop.world.setCard(customer, "declines");
    await shop.world.advance(new Date("2027-02-28T12:00:00Z"));
    shop.world.setCard(customer, "pays");
    await shop.world.advance(day);
    expect(await shop.stripe.subscriptions.retrieve(subscription, { expand: ["latest_invoice"] })).toMatchObject({
      status: "active",
      latest_invoice: { status: "paid", attempt_count: 2 },
    });
  });

  test("the stand-in cancels after the last attempt where the policy says so, and leaves the invoice open", async ({
    open,
  }) => {
    const shop = await open(undefined, { policies: { after_retries: "canceled", retry_days: [1] } });
    const { subscription, customer } = await shop.subscriber(1000);
    shop.world.setCard(customer, "declines");
    await shop.world.advance(new Date("2027-03-05T12:00:00Z"));
    expect(await shop.stripe.subscriptions.retrieve(subscription)).toMatchObject({
      status: "canceled",
      cancellation_details: { reason: "payment_failed" },
    });
    expect((await invoicesOf(shop, subscription)).data[0]).toMatchObject({ status: "open", auto_advance: false });
    expect(shop.world.events("customer.subscription.deleted")).toHaveLength(1);
  });

  test("the stand-in gives up a subscription whose first payment fails and is not made within 23 hours", async ({
    open,
  }) => {
    const shop = await open();
    const { id: customer } = await shop.stripe.customers.create();
    shop.world.setCard(customer, "declines");
    const items = [{ price: await shop.price(700, "month") }];
    const { id, status } = await shop.stripe.subscriptions.create({ customer, items });
    expect(status).toBe("incomplete");
    await shop.world.advance(day);
    expect((await shop.stripe.subscriptions.retrieve(id)).status).toBe("incomplete_expired");
  });
});

describe("ends and pauses", () => {
  test("the stand-in ends a subscription at its period's end, unless that is taken back", async ({ open }) => {
    const shop = await open();
    const [ends, stays] = [await shop.subscriber(1000), await shop.subscriber(1000)];
    const update = (id: string, cancel_at_period_end: boolean) =>
      shop.stripe.subscriptions.update(id, { cancel_at_period_end });
    const told = await update(ends.subscription, true);
    expect(dateOf(told.cancel_at ?? 0)).toBe("2027-02-28");
    await update(stays.subscription, true);
    expect((await update(stays.subscription, false)).cancel_at).toBeNull();
    await shop.world.advance(new Date("2027-03-01T00:00:00Z"));
    expect((await shop.stripe.subscriptions.retrieve(ends.subscription)).status).toBe("canceled");
    expect((await shop.stripe.subscriptions.retrieve(stays.subscription)).status).toBe("active");
    expect((await invoicesOf(shop, ends.subscription)).data).toHaveLength(1);
    await expect(update(ends.subscription, false)).rejects.toMatchObject({ statusCode: 400 });
    await expect(shop.stripe.subscriptions.cancel(ends.subscription)).rejects.toMatchObject({
      statusCode: 404,
      code: "resource_missing",
    });
  });

  test("the stand-in cancels at once, and gives the rest of the period back where it is told to", async ({ open }) => {
    const shop = await open();
    const { subscription, customer } = await shop.subscriber(1000);
    await shop.world.advance(new Date("2027-02-14T10:00:00Z"));
    const ended = await shop.stripe.subscriptions.cancel(subscription, { prorate: true, invoice_now: true });
    expect(ended).toMatchObject({ status: "canceled", ended_at: Date.parse("2027-02-14T10:00:00Z") / 1000 });
    expect(await shop.stripe.customers.retrieve(customer)).toMatchObject({ balance: -500 });
    expect((await shop.stripe.subscriptions.list({ customer })).data).toEqual([]);
    expect((await shop.stripe.subscriptions.list({ customer, status: "all" })).data).toHaveLength(1);
  });

  test("the stand-in pauses and resumes, with the events of each", async ({ open }) => {
    const shop = await open();
    const { subscription } = await shop.subscriber(1000);
    await shop.stripe.subscriptions.pause(subscription);
    await shop.world.advance(60 * day);
    expect((await shop.stripe.subscriptions.retrieve(subscription)).status).toBe("paused");
    expect((await invoicesOf(shop, subscription)).data).toHaveLength(1);
    expect((await shop.stripe.subscriptions.resume(subscription)).status).toBe("active");
    const types = shop.world.events().map(({ type }) => type);
    expect(types).toEqual(expect.arrayContaining(["customer.subscription.paused", "customer.subscription.resumed"]));
  });

  test("the stand-in voids invoices while collection is paused, and the subscription stays active", async ({
    open,
  }) => {
    const shop = await open();
    const { subscription } = await shop.subscriber(1000);
    await shop.stripe.subscriptions.update(subscription, { pause_collection: { behavior: "void" } });
    await shop.world.advance(31 * day);
    expect((await invoicesOf(shop, subscription)).data[0]?.status).toBe("void");
    const resumed = await shop.stripe.subscriptions.update(subscription, { pause_collection: "" });
    expect(resumed).toMatchObject({ status: "active", pause_collection: null });
  });

  test("the stand-in cancels all that a deleted customer subscribes to", async ({ open }) => {
    const shop = await open();
    const { customer, price } = await shop.subscriber(1000);
    await shop.stripe.subscriptions.create({ customer, items: [{ price }] });
    expect((await shop.stripe.customers.del(customer)).deleted).toBe(true);
    expect(shop.world.events("customer.subscription.deleted")).toHaveLength(2);
    expect(shop.world.events("customer.deleted")).toHaveLength(1);
    expect(await shop.stripe.customers.retrieve(customer)).toMatchObject({ deleted: true });
    await shop.world.advance(60 * day);
  });
});
