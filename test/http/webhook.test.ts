import { describe, expect } from "vitest";
import { until } from "../support/barrier.ts";
import { account, deliver, eventOf, post, test } from "../support/webhook.ts";

describe("whose event it is", () => {
  test("one of the live mode, or of a connected account, is stored without effect, under an alarm", async ({
    shop,
    events,
    db,
  }) => {
    for (const [because, changes] of [
      ["livemode", { livemode: true }],
      ["account", { account: "acct_1" }],
    ] as const) {
      const event = eventOf({ type: "customer.deleted", data: { object: { id: "cus_9" } }, ...changes });
      const answer = await deliver(shop.url, event);
      expect([answer.status, answer.body]).toEqual([200, { received: true, state: "foreign", duplicate: false }]);
      expect(await events(event.id)).toMatchObject([{ state: "foreign", outcome: because, fact: null }]);
      const { rows } = await db.query("select from ops.alarm where code = 'event_foreign' and closed_at is null");
      expect(rows).toHaveLength(1);
    }
  });

  test("one in another version of the API is stored, and its object will be fetched", async ({ shop, events }) => {
    const event = eventOf({
      type: "customer.deleted",
      api_version: "2019-01-01",
      data: { object: { id: "cus_9" } },
    });
    expect(await deliver(shop.url, event)).toMatchObject({ status: 200, body: { state: "fetching" } });
    expect(await events(event.id)).toMatchObject([{ state: "fetching", outcome: "api_version", fact: null }]);
    const ignored = eventOf({ api_version: "2019-01-01" });
    expect(await deliver(shop.url, ignored)).toMatchObject({ status: 200, body: { state: "ignored" } });
  });

  test("an unknown customer's waits for the customer", async ({ shop, events }) => {
    const item = { price: { id: "price_1" }, quantity: 1, current_period_start: 1, current_period_end: 2 };
    const object = {
      id: "sub_1",
      customer: "cus_nobody",
      status: "active",
      items: { data: [item] },
      cancel_at_period_end: false,
      created: 1,
    };
    const event = eventOf({ type: "customer.subscription.updated", data: { object } });
    expect(await deliver(shop.url, event)).toMatchObject({ status: 200, body: { state: "parked" } });
    expect(await events(event.id)).toMatchObject([{ state: "parked", fact: { kind: "subscription" } }]);
  });
});

describe("again and again", () => {
  test("A1 the same event 50 times at once is one row and one effect", async ({ shop, events }) => {
    const event = eventOf({ type: "customer.deleted", data: { object: { id: "cus_gone" } } });
    const answers = await Promise.all(Array.from({ length: 50 }, () => deliver(shop.url, event)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const duplicates = answers.filter(({ body }) => Reflect.get(Object(body), "duplicate") === true);
    expect(duplicates).toHaveLength(49);
    expect(await events(event.id)).toHaveLength(1);
  });
});

describe("our failure", () => {
  test("a database that is away: 503, and the event is not lost to who sends it again", async ({
    shop,
    bridge,
    events,
  }) => {
    const event = eventOf();
    bridge.faults.next({ kind: "drop", when: "before", times: 3, match: "receive_event(" });
    const away = await deliver(shop.url, event);
    expect(away.status).toBe(503);
    expect(away.headers.get("Content-Type")).toBe("application/problem+json");
    expect(away.headers.get("Retry-After")).toBe("1");
    expect(await events(event.id)).toEqual([]);
    expect(await deliver(shop.url, event)).toMatchObject({ status: 200, body: { duplicate: false } });
  });

  test("A10 an answer that is lost after the commit: one row, and 200", async ({ shop, bridge, events }) => {
    const event = eventOf();
    bridge.faults.next({ kind: "drop", when: "after", times: 1, match: "receive_event(" });
    expect(await deliver(shop.url, event)).toMatchObject({ status: 200, body: { duplicate: true } });
    expect(await events(event.id)).toHaveLength(1);
  });

  test("no secret is configured: 500 and an alarm, never a skip", async ({ world, db, events }) => {
    const { STRIPE_SECRET_KEY } = account;
    const bindings = [{}, { STRIPE_SECRET_KEY }, { STRIPE_WEBHOOK_SECRET: account.STRIPE_WEBHOOK_SECRET }];
    for (const [i, bound] of bindings.entries()) {
      const worker = await world.another(bound);
      const event = eventOf();
      const answer = await deliver(worker.url, event);
      expect([answer.status, answer.body]).toEqual([500, expect.objectContaining({ code: "misconfigured" })]);
      expect(await events(event.id)).toEqual([]);
      const { rows } = await db.query(
        "select times from ops.alarm where code = 'stripe_not_configured' and closed_at is null",
      );
      expect(rows).toEqual([{ times: i + 1 }]);
    }
  });
});

describe("the way in", () => {
  test("takes POST only", async ({ shop }) => {
    for (const method of ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const answer = await fetch(`${shop.url}/webhooks/stripe`, { method });
      expect([method, answer.status, answer.headers.get("Allow")]).toEqual([method, 405, "POST"]);
      expect(await answer.json()).toMatchObject({ code: "method_not_allowed" });
    }
  });

  test("B13 has the house's errors beside it", async ({ shop }) => {
    for (const path of ["/webhooks/stripe/", "/webhooks", "/webhooks/other"]) {
      const answer = await fetch(`${shop.url}${path}`, { method: "POST", body: "{}" });
      expect([path, answer.status, answer.headers.get("Content-Type")]).toEqual([
        path,
        404,
        "application/problem+json",
      ]);
    }
  });

  test("logs one line a delivery: what came and what became of it, and nothing of its body", async ({ shop }) => {
    const event = eventOf({ data: { object: { id: "prod_1", note: "private" } } });
    const answers = [await deliver(shop.url, event), await post(shop.url, JSON.stringify(event), "t=1,v1=private")];
    const ours = new Set(answers.map(({ headers }) => headers.get("Request-Id")));
    // A line comes by a way of its own: it may be there after the answer, and an earlier answer's too.
    const logged = () => shop.logs.map(({ message }) => JSON.parse(message)).filter(({ id }) => ours.has(id));
    await until("both are logged", async () => logged().length > 1);
    const lines = logged();
    expect(lines).toMatchObject([
      {
        route: "/webhooks/stripe",
        status: 200,
        round_trips: 1,
        event: event.id,
        type: "product.created",
        state: "ignored",
        duplicate: false,
      },
      { route: "/webhooks/stripe", status: 400, round_trips: 0, code: "signature_invalid" },
    ]);
    expect(JSON.stringify(lines)).not.toContain("private");
    expect(JSON.stringify(lines)).not.toContain("whsec");
  });
});
