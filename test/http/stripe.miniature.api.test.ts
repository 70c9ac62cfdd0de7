import { Stripe } from "stripe";
import { describe, expect } from "vitest";
import { test } from "../support/shop.ts";

describe("idempotency keys", () => {
  test("the stand-in replays an idempotency key's answer, and does nothing twice", async ({ open }) => {
    const { stripe, world } = await open();
    const first = await stripe.customers.create({ email: "a@example.com" }, { idempotencyKey: "one" });
    const again = await stripe.customers.create({ email: "a@example.com" }, { idempotencyKey: "one" });
    expect(again).toEqual(first);
    expect(again.lastResponse.headers["idempotent-replayed"]).toBe("true");
    expect(world.state.customers.size).toBe(1);
    expect(world.calls.map(({ replayed }) => replayed)).toEqual([false, true]);
  });

  test("the stand-in refuses an idempotency key that comes with other parameters, or on another path", async ({
    open,
  }) => {
    const { stripe } = await open();
    await stripe.customers.create({ email: "a@example.com" }, { idempotencyKey: "one" });
    const other = stripe.customers.create({ email: "b@example.com" }, { idempotencyKey: "one" });
    await expect(other).rejects.toMatchObject({ statusCode: 400, rawType: "idempotency_error" });
    const elsewhere = stripe.products.create({ name: "Thing" }, { idempotencyKey: "one" });
    await expect(elsewhere).rejects.toThrow(Stripe.errors.StripeIdempotencyError);
  });

  test("the stand-in keeps a 500 that came after the effect, and replays it under its key", async ({ open }) => {
    const { stripe, world } = await open();
    world.faults.next({ kind: "500", when: "after", match: "POST /v1/customers" });
    const create = () => stripe.customers.create({}, { idempotencyKey: "one" });
    await expect(create()).rejects.toMatchObject({ statusCode: 500 });
    await expect(create()).rejects.toMatchObject({ statusCode: 500 });
    expect(world.state.customers.size).toBe(1);
  });

  test("the stand-in answers the second of two calls at once with 409, and a retry with the first's answer", async ({
    open,
  }) => {
    const { stripe, world } = await open();
    world.faults.next({ kind: "delay", when: "before", ms: 5_000 });
    const create = () => stripe.customers.create({}, { idempotencyKey: "one" });
    const [first, second] = await Promise.allSettled([create(), create()]);
    expect([first.status, second.status].toSorted()).toEqual(["fulfilled", "rejected"]);
    const refused = first.status === "rejected" ? first : second;
    expect(refused).toMatchObject({ reason: { statusCode: 409, code: "idempotency_key_in_use" } });
    await create();
    expect(world.state.customers.size).toBe(1);
  });

  test("the stand-in forgets an idempotency key after a day, and a refused call under one may be mended", async ({
    open,
  }) => {
    const { stripe, world } = await open();
    const first = await stripe.customers.create({}, { idempotencyKey: "one" });
    await world.advance(24.1 * 3600_000);
    expect((await stripe.customers.create({}, { idempotencyKey: "one" })).id).not.toBe(first.id);
    await expect(stripe.products.create({ name: "" }, { idempotencyKey: "two" })).rejects.toMatchObject({
      statusCode: 400,
      param: "name",
    });
    await stripe.products.create({ name: "Thing" }, { idempotencyKey: "two" });
  });
});

describe("faults", () => {
  test("the stand-in cuts connections before or after the effect, as it was asked to", async ({ open }) => {
    const { stripe, world } = await open();
    // Twice each: the SDK repeats a cut call once, whatever it was told of retries.
    world.faults.next({ kind: "drop", when: "before", times: 2 });
    await expect(stripe.customers.create({}, { idempotencyKey: "one" })).rejects.toThrow(
      Stripe.errors.StripeConnectionError,
    );
    expect(world.state.customers.size).toBe(0);
    world.faults.next({ kind: "drop", when: "after", times: 2 });
    await expect(stripe.customers.create({}, { idempotencyKey: "two" })).rejects.toThrow(
      Stripe.errors.StripeConnectionError,
    );
    expect(world.state.customers.size).toBe(1);
    expect(world.faults.pending).toBe(0);
  });

  test("the stand-in fails before the effect, and limits the rate, where a fault says so", async ({ open }) => {
    const { stripe, world } = await open();
    world.faults.next({ kind: "500", match: "POST /v1/customers" });
    world.faults.next({ kind: "429", match: /^POST/ });
    const create = () => stripe.customers.create({}, { idempotencyKey: "one" });
    await expect(create()).rejects.toThrow(Stripe.errors.StripeAPIError);
    await expect(create()).rejects.toThrow(Stripe.errors.StripeRateLimitError);
    expect(world.state.customers.size).toBe(0);
    await create();
    expect(world.calls.map(({ status }) => status)).toEqual([500, 429, 200]);
  });
});

describe("refusals", () => {
  test("the stand-in refuses keys that are no test keys, unknown routes and unknown parameters", async ({ open }) => {
    const { stripe, world } = await open();
    const live = new Stripe("sk_live_x", { ...world.config, maxNetworkRetries: 0 });
    await expect(live.customers.list()).rejects.toThrow(Stripe.errors.StripeAuthenticationError);
    await expect(stripe.topups.list()).rejects.toMatchObject({ statusCode: 404 });
    await expect(stripe.customers.create({ coupon: "x" } as object)).rejects.toMatchObject({
      statusCode: 400,
      code: "parameter_unknown",
      param: "coupon",
    });
    await expect(stripe.customers.retrieve("cus_none")).rejects.toMatchObject({
      statusCode: 404,
      code: "resource_missing",
      param: "id",
    });
    expect(world.calls.at(-1)).toMatchObject({ method: "GET", path: "/v1/customers/cus_none", status: 404 });
  });
});

describe("lists", () => {
  test("the stand-in pages lists, newest first, both ways, and by when things were made", async ({ open }) => {
    const { stripe, world } = await open();
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      ids.unshift((await stripe.customers.create({ name: `c${i}` })).id);
      await world.advance(10_000);
    }
    const all: string[] = [];
    for await (const customer of stripe.customers.list({ limit: 2 })) {
      all.push(customer.id);
    }
    expect(all).toEqual(ids);
    const back = await stripe.customers.list({ limit: 2, ending_before: ids[3] ?? "" });
    expect([back.data.map(({ id }) => id), back.has_more]).toEqual([ids.slice(1, 3), true]);
    const created = world.state.customers.get(ids[2] ?? "")?.created ?? 0;
    const newer = await stripe.customers.list({ created: { gt: created } });
    expect(newer.data.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const since = await stripe.customers.list({ created: { gte: created, lt: created + 10 } });
    expect(since.data.map(({ id }) => id)).toEqual([ids[2]]);
  });

  test("the stand-in finds customers by metadata, and only once they are indexed", async ({ open }) => {
    const { stripe, world } = await open(undefined, { policies: { search_delay_ms: 60_000 } });
    const query = "metadata['workspace']:'w1'";
    const { id } = await stripe.customers.create({ metadata: { workspace: "w1" } });
    await stripe.customers.create({ metadata: { workspace: "w2" } });
    expect((await stripe.customers.search({ query })).data).toEqual([]);
    await world.advance(61_000);
    expect((await stripe.customers.search({ query })).data.map((customer) => customer.id)).toEqual([id]);
    const neither = await stripe.customers.search({ query: `-${query} AND -metadata["workspace"]:"w2"` });
    expect(neither.data).toEqual([]);
    await expect(stripe.customers.search({ query: "workspace = w1" })).rejects.toMatchObject({ statusCode: 400 });
  });
});

describe("the catalogue", () => {
  test("the stand-in lets one active price have a lookup key, and another take it over", async ({ open }) => {
    const { stripe } = await open();
    await stripe.products.create({ id: "team", name: "Team" });
    await expect(stripe.products.create({ id: "team", name: "Team" })).rejects.toMatchObject({
      code: "resource_already_exists",
    });
    const wish = { product: "team", currency: "eur", unit_amount: 900, lookup_key: "team_month" } as const;
    const first = await stripe.prices.create({ ...wish, recurring: { interval: "month" } });
    await expect(stripe.prices.create(wish)).rejects.toMatchObject({ statusCode: 400, param: "lookup_key" });
    const second = await stripe.prices.create({ ...wish, unit_amount: 1000, transfer_lookup_key: true });
    const found = await stripe.prices.list({ lookup_keys: ["team_month"], expand: ["data.product"] });
    expect(found.data).toMatchObject([{ id: second.id, product: { name: "Team" }, unit_amount: 1000 }]);
    expect((await stripe.prices.retrieve(first.id)).lookup_key).toBeNull();
    await stripe.prices.update(second.id, { active: false });
    expect((await stripe.prices.list({ product: "team", active: true })).data.map(({ id }) => id)).toEqual([first.id]);
  });

  test("the stand-in's prices are what the SDK's types say, decimals too", async ({ open }) => {
    const { stripe, price } = await open();
    const made = await stripe.prices.retrieve(await price(1250, "year"));
    expect(made.unit_amount_decimal?.toString()).toBe("1250");
    expect(made.recurring).toEqual({
      interval: "year",
      interval_count: 1,
      meter: null,
      trial_period_days: null,
      usage_type: "licensed",
    });
  });
});

test("the stand-in tells a webhook endpoint's secret once, on its creation", async ({ open }) => {
  const { stripe } = await open();
  const made = await stripe.webhookEndpoints.create({
    url: "http://127.0.0.1:9/hook",
    enabled_events: ["invoice.paid"],
    api_version: Stripe.API_VERSION,
  });
  expect(made).toMatchObject({ secret: expect.stringMatching(/^whsec_/), api_version: Stripe.API_VERSION });
  expect(await stripe.webhookEndpoints.retrieve(made.id)).not.toHaveProperty("secret");
  const changed = await stripe.webhookEndpoints.update(made.id, { enabled_events: ["*"] });
  expect([changed.enabled_events, changed.secret]).toEqual([["*"], undefined]);
  expect(await stripe.webhookEndpoints.del(made.id)).toMatchObject({ deleted: true });
  expect((await stripe.webhookEndpoints.list()).data).toHaveLength(1);
});

test("the stand-in's account is one in test mode", async ({ open }) => {
  const { stripe } = await open();
  expect(await stripe.accounts.retrieveCurrent()).toMatchObject({ object: "account", charges_enabled: true });
});
