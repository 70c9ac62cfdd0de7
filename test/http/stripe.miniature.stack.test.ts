import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Stripe } from "stripe";
import { describe, expect } from "vitest";
import { test } from "../support/shop.ts";
import { startStripe } from "../world/stripe.ts";

/** Calls the control as the dev stack does. */
async function control(url: string, path: string, body: object): Promise<unknown> {
  const answer = await fetch(`${url}/miniature/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(answer.status).toBe(200);
  return await answer.json();
}

test("the stand-in goes on after a restart with all that it had, at the time that it was", async ({ open }) => {
  const folder = await mkdtemp(join(tmpdir(), "miniature-"));
  const file = join(folder, "state", "stripe.json");
  try {
    const shop = await open(undefined, { file });
    const { subscription, customer } = await shop.subscriber(1000);
    await shop.world.advance(new Date("2027-02-20T00:00:00Z"));
    await shop.stripe.customers.update(customer, { name: "Ada" }, { idempotencyKey: "one" });
    await shop.world.stop();
    const again = await startStripe({ file, now: () => Date.parse("2027-01-31T10:00:00Z") });
    try {
      const stripe = new Stripe("sk_test_shop", { ...again.config, maxNetworkRetries: 0 });
      expect(again.now()).toEqual(new Date("2027-02-20T00:00:00Z"));
      expect(again.secret()).toBe(shop.world.secret());
      expect(await stripe.customers.retrieve(customer)).toMatchObject({ name: "Ada" });
      const other = stripe.customers.update(customer, { name: "Eve" }, { idempotencyKey: "one" });
      await expect(other).rejects.toMatchObject({ rawType: "idempotency_error" });
      again.deliveries = "dropped";
      await again.advance(new Date("2027-03-02T00:00:00Z"));
      expect((await stripe.invoices.list({ subscription })).data).toHaveLength(2);
    } finally {
      await again.stop();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("the stand-in brings after a restart what it had not brought before", async ({ open }) => {
  const folder = await mkdtemp(join(tmpdir(), "miniature-"));
  const file = join(folder, "stripe.json");
  try {
    const shop = await open(undefined, { file });
    shop.answer.status = 503;
    await shop.stripe.customers.create();
    await shop.world.settled();
    await shop.world.stop();
    shop.answer.status = 200;
    shop.taken();
    const again = await startStripe({ file, now: () => Date.parse("2027-01-31T10:00:00Z") });
    await again.advance(6 * 60_000);
    await again.stop();
    expect(shop.taken()).toEqual(["customer.created"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("the stand-in's endpoint and pay pages move with its ports from start to start", async ({ open }) => {
  const folder = await mkdtemp(join(tmpdir(), "miniature-"));
  const file = join(folder, "stripe.json");
  try {
    const endpoint = { url: "http://127.0.0.1:9/hook", secret: "whsec_dev" };
    const shop = await open(undefined, { file, endpoints: [endpoint] });
    const session = await shop.stripe.checkout.sessions.create({
      mode: "payment",
      line_items: [{ price: await shop.price(100), quantity: 1 }],
      success_url: "https://shop.example/done",
    });
    await shop.world.settled();
    await shop.world.stop();
    const moved = { ...endpoint, url: "http://127.0.0.1:9/other" };
    const again = await startStripe({ file, endpoints: [moved], now: () => shop.world.now().getTime() });
    expect([...again.state.endpoints.values()].map(({ url }) => url)).toEqual([moved.url]);
    expect(again.state.sessions.get(session.id)?.url).toBe(`${again.url}/pay/${session.id}`);
    await again.stop();
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe("for people", () => {
  test("the stand-in's overview and log show what there is, with buttons for what banks do", async ({ open }) => {
    const shop = await open();
    const { customer, subscription } = await shop.subscriber(1000);
    const page = await (await fetch(`${shop.world.url}/`)).text();
    for (const words of [customer, subscription, "Let the card decline", "Refund", "Dispute", "/miniature/clock"]) {
      expect(page).toContain(words);
    }
    const log = await (await fetch(`${shop.world.url}/miniature/events`)).text();
    expect(log).toMatch(/checkout\.session\.completed[^]*delivered \(1 × 200\)/);
    const refused = await fetch(`${shop.world.url}/miniature/clock`, {
      method: "POST",
      headers: { Origin: "https://evil.example" },
    });
    expect(refused.status).toBe(403);
    expect((await fetch(`${shop.world.url}/nowhere`)).status).toBe(404);
  });

  test("the stand-in escapes what people typed", async ({ open }) => {
    const shop = await open();
    await shop.stripe.customers.create({ email: '"><script>alert(1)</script>' });
    const page = await (await fetch(`${shop.world.url}/`)).text();
    expect(page).not.toContain("<script>");
    expect(page).toContain("&#60;script&#62;");
  });

  test("the stand-in's portal lets a customer cancel, think again, and change the card", async ({ open }) => {
    const shop = await open();
    const { customer, subscription } = await shop.subscriber(1000);
    const { url } = await shop.stripe.billingPortal.sessions.create({ customer, return_url: "https://shop.example/" });
    expect(await (await fetch(url)).text()).toMatch(/Cancel at the period[^]*https:\/\/shop\.example\//);
    const click = (fields: Record<string, string>) => fetch(url, { method: "POST", body: new URLSearchParams(fields) });
    await click({ subscription, act: "cancel" });
    expect(await shop.stripe.subscriptions.retrieve(subscription)).toMatchObject({ cancel_at_period_end: true });
    await click({ subscription, act: "renew" });
    expect(await shop.stripe.subscriptions.retrieve(subscription)).toMatchObject({ cancel_at_period_end: false });
    await click({ act: "card_declines" });
    await shop.world.advance(31 * 86_400_000);
    expect(await shop.stripe.subscriptions.retrieve(subscription)).toMatchObject({ status: "past_due" });
    await click({ act: "card_pays" });
    const [invoice] = (await shop.stripe.invoices.list({ customer, status: "open" })).data;
    await click({ act: "pay", invoice: invoice?.id ?? "" });
    expect(await shop.stripe.subscriptions.retrieve(subscription)).toMatchObject({ status: "active" });
  });
});

test("the stand-in's control over HTTP moves the clock, the card, disputes and refunds", async ({ open }) => {
  const shop = await open();
  const { url } = shop.world;
  const { customer, subscription } = await shop.subscriber(1000);
  await control(url, `customers/${customer}/card`, { declines: true });
  expect(await control(url, "clock", { now: "2027-03-01T00:00:00Z" })).toEqual({ now: "2027-03-01T00:00:00.000Z" });
  expect(await shop.stripe.subscriptions.retrieve(subscription)).toMatchObject({ status: "past_due" });
  const paid = (await shop.stripe.charges.list({ customer })).data.find(({ status }) => status === "succeeded");
  const refund = await shop.stripe.refunds.create({ charge: paid?.id ?? "", amount: 1 });
  expect(await control(url, `refunds/${refund.id}/fail`, {})).toMatchObject({ status: "failed" });
  await control(url, "disputes", { payment_intent: paid?.payment_intent });
  const [dispute] = (await shop.stripe.disputes.list()).data;
  await control(url, `disputes/${dispute?.id}/close`, { status: "lost" });
  expect(await shop.stripe.disputes.retrieve(dispute?.id ?? "")).toMatchObject({ status: "lost" });
});
