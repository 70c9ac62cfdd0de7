import { Stripe } from "stripe";
import { describe, expect } from "vitest";
import { test } from "../support/shop.ts";

const minute = 60_000;

describe("deliveries", () => {
  test("the stand-in signs what it delivers with real time, whatever its clock says", async ({ open }) => {
    const shop = await open("2031-06-01T00:00:00Z");
    await shop.stripe.customers.create({ email: "a@example.com" });
    await shop.world.settled();
    const [delivery] = shop.received;
    expect(delivery?.event).toMatchObject({
      type: "customer.created",
      api_version: Stripe.API_VERSION,
      created: Date.parse("2031-06-01T00:00:00Z") / 1000,
      livemode: false,
    });
    const signedAt = Number(/t=(\d+)/.exec(delivery?.signature ?? "")?.[1]);
    expect(Math.abs(Date.now() / 1000 - signedAt)).toBeLessThan(60);
    const async = await shop.stripe.webhooks.constructEventAsync(
      delivery?.body ?? "",
      delivery?.signature ?? "",
      shop.world.secret(),
    );
    expect(async.id).toBe(delivery?.event?.id);
  });

  test("the stand-in signs any body, with any secret and time, for hostile tests", async ({ open }) => {
    const { stripe, world } = await open();
    const body = JSON.stringify({ id: "evt_x", object: "event", type: "ping" });
    const read = (header: string) => stripe.webhooks.constructEvent(body, header, world.secret());
    expect(read(world.sign(body)).id).toBe("evt_x");
    expect(() => read(world.sign(body, { secret: "whsec_other" }))).toThrow("signature");
    expect(() => read(world.sign(body, { timestamp: Math.floor(Date.now() / 1000) - 301 }))).toThrow("tolerance");
  });

  test("the stand-in delivers events in the order in which they happened", async ({ open }) => {
    const shop = await open();
    await shop.subscriber(1000);
    const happened = shop.world.events().map(({ id }) => id);
    expect(shop.received.map(({ event }) => event?.id)).toEqual(happened);
    const { data } = await shop.stripe.events.list({ limit: 100 });
    expect(data.map(({ id }) => id)).toEqual(happened.toReversed());
    expect(data.every(({ pending_webhooks: pending }) => pending === 0)).toBe(true);
  });

  test("the stand-in delivers what an endpoint asks for, with the endpoint's API version", async ({ open }) => {
    const shop = await open();
    const [endpoint] = shop.world.state.endpoints.values();
    await shop.stripe.webhookEndpoints.update(endpoint?.id ?? "", { enabled_events: ["product.created"] });
    if (endpoint !== undefined) endpoint.api_version = "2024-06-20";
    await shop.stripe.products.create({ name: "Thing" });
    await shop.stripe.customers.create();
    await shop.world.settled();
    expect(shop.received.map(({ event }) => [event?.type, event?.api_version])).toEqual([
      ["product.created", "2024-06-20"],
    ]);
  });

  test("the stand-in delivers again by its own clock until the endpoint answers well", async ({ open }) => {
    const shop = await open();
    shop.answer.status = 500;
    await shop.stripe.customers.create();
    await shop.world.settled();
    expect(shop.world.pending()).toHaveLength(1);
    await shop.world.advance(4 * minute);
    expect(shop.received).toHaveLength(1);
    await shop.world.advance(2 * minute);
    expect(shop.received).toHaveLength(2);
    shop.answer.status = 200;
    await shop.world.advance(60 * minute);
    await shop.world.advance(24 * 60 * minute);
    expect(shop.received).toHaveLength(3);
    expect(new Set(shop.received.map(({ event }) => event?.id)).size).toBe(1);
    expect(shop.world.pending()).toEqual([]);
  });

  test("the stand-in gives a delivery up after three days, and lists its event for 30", async ({ open }) => {
    const shop = await open();
    shop.answer.status = 500;
    await shop.stripe.customers.create();
    await shop.world.advance(10 * 24 * 60 * minute);
    const attempts = shop.received.length;
    expect(attempts).toBe(11);
    expect((await shop.stripe.events.list({ type: "customer.created" })).data).toHaveLength(1);
    await shop.world.advance(25 * 24 * 60 * minute);
    expect(shop.received).toHaveLength(attempts);
    expect((await shop.stripe.events.list()).data).toEqual([]);
  });
});

describe("modes", () => {
  test("the stand-in holds events, and a test delivers them in any order, twice and at once", async ({ open }) => {
    const shop = await open();
    shop.world.deliveries = "held";
    await shop.stripe.customers.create();
    await shop.stripe.products.create({ name: "Thing" });
    await shop.world.settled();
    expect(shop.received).toEqual([]);
    const held = shop.world.pending();
    expect(held.map(({ type }) => type)).toEqual(["customer.created", "product.created"]);
    for (const event of held.toReversed()) {
      await shop.world.deliver(event);
    }
    const answers = await shop.world.deliver(held[0]?.id ?? "", { times: 2 });
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(shop.taken()).toEqual(["product.created", "customer.created", "customer.created", "customer.created"]);
    expect(shop.world.pending()).toEqual([]);
  });

  test("the stand-in sends what it held once it delivers by itself again", async ({ open }) => {
    const shop = await open();
    shop.world.deliveries = "held";
    await shop.stripe.customers.create();
    shop.world.deliveries = "automatic";
    await shop.world.settled();
    expect(shop.taken()).toEqual(["customer.created"]);
  });

  test("the stand-in loses events in an outage, and its list has them all the same", async ({ open }) => {
    const shop = await open();
    shop.world.deliveries = "dropped";
    const { id } = await shop.stripe.customers.create();
    shop.world.deliveries = "automatic";
    await shop.world.advance(24 * 60 * minute);
    expect([shop.received, shop.world.pending()]).toEqual([[], []]);
    const { data } = await shop.stripe.events.list({ types: ["customer.created", "customer.updated"] });
    expect(data).toMatchObject([{ data: { object: { id } } }]);
    await shop.world.deliver(data[0]?.id ?? "");
    expect(shop.taken()).toEqual(["customer.created"]);
  });
});

test("the stand-in's list of events goes on from where a reader stopped, in both directions", async ({ open }) => {
  const { stripe, world } = await open();
  for (let i = 0; i < 6; i += 1) {
    await stripe.products.create({ name: `p${i}` });
    await world.advance(1000);
  }
  const ids = world.events().map(({ id }) => id);
  const newer = await stripe.events.list({ ending_before: ids[1] ?? "", limit: 2 });
  expect([newer.data.map(({ id }) => id), newer.has_more]).toEqual([[ids[3], ids[2]], true]);
  const older = await stripe.events.list({ starting_after: ids[2] ?? "" });
  expect([older.data.map(({ id }) => id), older.has_more]).toEqual([[ids[1], ids[0]], false]);
  const since = world.events().at(4)?.created ?? 0;
  expect((await stripe.events.list({ created: { gte: since } })).data).toHaveLength(2);
  expect((await stripe.events.retrieve(ids[0] ?? "")).type).toBe("product.created");
});
