import { Stripe } from "stripe";
import { describe, expect } from "vitest";
import { answered, deliver, eventOf, newId, now, post, sign, test } from "../support/webhook.ts";

describe("a signature", () => {
  test("that is right: the event is stored as it came, in one round trip, and the answer is no cache's", async ({
    shop,
    bridge,
    events,
  }) => {
    const event = eventOf();
    // Not as JSON.stringify would write it: what is stored is what was signed.
    const body = JSON.stringify(event, null, 2);
    bridge.resetCounters();
    const answer = await post(shop.url, body, sign(body));
    expect([answer.status, answer.body]).toEqual([200, { received: true, state: "ignored", duplicate: false }]);
    expect(bridge.counters.requests).toBe(1);
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
    expect(answer.headers.get("Request-Id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(await events(event.id)).toEqual([
      {
        id: event.id,
        type: "product.created",
        state: "ignored",
        outcome: null,
        fact: null,
        payload: body,
        error: null,
      },
    ]);
  });

  test("by the secret that is being rolled out, or by the one before it", async ({ shop }) => {
    for (const secret of ["whsec_current", "whsec_before"]) {
      const body = JSON.stringify(eventOf());
      expect(await post(shop.url, body, sign(body, secret))).toMatchObject({ status: 200 });
    }
  });

  test("among others: one is enough", async ({ shop }) => {
    const body = JSON.stringify(eventOf());
    const [t, v1] = sign(body).split(",");
    const header = `${t},v1=${"0".repeat(64)},${v1},v0=${"1".repeat(64)}`;
    expect(await post(shop.url, body, header)).toMatchObject({ status: 200 });
  });

  const refused: [what: string, header: (body: string) => string | null][] = [
    ["that is missing", () => null],
    ["that is empty", () => ""],
    ["of another secret", (body) => sign(body, "whsec_another")],
    ["of another body", (body) => sign(`${body} `)],
    ["older than 300 seconds", (body) => sign(body, undefined, now() - 310)],
    ["more than 300 seconds ahead", (body) => sign(body, undefined, now() + 310)],
    ["of an old scheme only", (body) => sign(body).replace("v1=", "v0=")],
    ["with another time than it was made for", (body) => sign(body).replace(/t=\d+/, `t=${now() - 60}`)],
    ["with two times", (body) => `t=${now()},${sign(body, undefined, now() - 3600)}`],
    ["with no time", (body) => sign(body).replace(/t=\d+,/, "")],
    ["that is no header of Stripe's", () => "t=,v1="],
    ["cut short", (body) => sign(body).slice(0, -1)],
  ];

  test.for(refused)("%s: 400 and no row", async ([, header], { shop, events }) => {
    const event = eventOf();
    const body = JSON.stringify(event);
    const answer = await post(shop.url, body, header(body));
    expect([answer.status, answer.body]).toEqual([400, expect.objectContaining({ code: "signature_invalid" })]);
    expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
    expect(await events(event.id)).toEqual([]);
  });

  test("of a body that was parsed and written again: 400 and no row", async ({ shop, events }) => {
    const event = eventOf();
    const body = JSON.stringify(event, null, 2);
    const again = JSON.stringify(JSON.parse(body));
    expect(await post(shop.url, again, sign(body))).toMatchObject({
      status: 400,
      body: { code: "signature_invalid" },
    });
    expect(await events(event.id)).toEqual([]);
  });

  test("within 300 seconds, both ways", async ({ shop }) => {
    for (const skew of [-290, 290]) {
      const body = JSON.stringify(eventOf());
      expect(await post(shop.url, body, sign(body, undefined, now() + skew))).toMatchObject({ status: 200 });
    }
  });

  test("over bytes that are not UTF-8: 400, whatever they would be read as", async ({ shop }) => {
    const bytes = new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]);
    expect(await post(shop.url, bytes, sign("{\u{fffd}\u{fffd}}"))).toMatchObject({ status: 400 });
  });
});

describe("a body", () => {
  test("of 2 MB: 413 before any HMAC, with its length or without", async ({ shop, bridge }) => {
    const body = JSON.stringify(eventOf({ filler: "x".repeat(2_000_000) }));
    bridge.resetCounters();
    // A right signature: whoever looked at it would answer 200.
    const told = await answered(() => post(shop.url, body, sign(body)));
    expect(told).toMatchObject({ status: 413, body: { code: "body_too_large" } });
    const bytes = new TextEncoder().encode(body);
    const stream = () =>
      new ReadableStream({
        start(controller) {
          for (let at = 0; at < bytes.length; at += 65_536) controller.enqueue(bytes.slice(at, at + 65_536));
          controller.close();
        },
      });
    expect(await answered(() => post(shop.url, stream(), sign(body)))).toMatchObject({ status: 413 });
    expect(await answered(() => post(shop.url, body, "t=1,v1=nobody-looks"))).toMatchObject({ status: 413 });
    expect(bridge.counters.requests).toBe(0);
  });

  test("of just under 1 MB is taken", async ({ shop }) => {
    const body = JSON.stringify(eventOf({ filler: "x".repeat(999_000) }));
    expect(await post(shop.url, body, sign(body))).toMatchObject({ status: 200 });
  });

  test.for([
    "",
    "null",
    "[]",
    "{",
    '"text"',
    "{}",
    '{"id":"evt_1"}',
    JSON.stringify({ ...eventOf(), id: "evt_'; drop table ops.event" }),
    JSON.stringify({ ...eventOf(), created: 1e300 }),
    JSON.stringify({ ...eventOf(), object: "v2.core.event", created: "2026-11-22T00:00:00Z", livemode: "no" }),
  ])("that is signed and no event: 400 and no row: %s", async (body, { shop, db }) => {
    const before = await db.query("select count(*) from ops.event");
    const answer = await post(shop.url, body, sign(body));
    expect(answer.status).toBe(400);
    expect((await db.query("select count(*) from ops.event")).rows).toEqual(before.rows);
  });

  test("with what Postgres cannot store as it reads: the event is stored, and nothing fails", async ({
    shop,
    events,
  }) => {
    const bodies = [
      String.raw`{"name":"\u0000\ud800","id":"ID","object":"event","type":"product.created","api_version":"V","created":1,"livemode":false,"data":{"object":{"id":"prod_\u0000"}}}`,
      String.raw`{"id":"ID","object":"event","type":"customer.deleted","api_version":"V","created":1,"livemode":false,"data":{"object":{"id":"cus_\udfff"}}}`,
    ];
    for (const text of bodies) {
      const id = newId();
      const body = text.replace('"ID"', `"${id}"`).replace('"V"', `"${Stripe.API_VERSION}"`);
      expect(await post(shop.url, body, sign(body))).toMatchObject({ status: 200 });
      expect(await events(id)).toMatchObject([{ payload: body }]);
    }
  });

  test("whose object is not what its type promises is kept with its error, for a person and for another try", async ({
    shop,
    events,
  }) => {
    const object = { id: "in_1", object: "invoice", amount_paid: -1, secret: "not told" };
    const event = eventOf({ type: "invoice.paid", data: { object } });
    const answer = await deliver(shop.url, event);
    expect([answer.status, answer.body]).toEqual([200, { received: true, state: "failed", duplicate: false }]);
    const [row] = await events(event.id);
    expect(row).toMatchObject({ state: "failed", fact: null, error: expect.stringContaining("amount_paid") });
    expect(JSON.stringify(row.error)).not.toContain("not told");
  });

  test("with amounts that no double holds exactly is not rounded into money", async ({ shop, events }) => {
    const object = { id: "ch_1", payment_intent: "pi_1", customer: "cus_1", amount: 1, amount_refunded: 7 };
    const event = eventOf({ type: "charge.refunded", data: { object } });
    const body = JSON.stringify(event).replace('"amount":1', '"amount":9007199254740993');
    expect(await post(shop.url, body, sign(body))).toMatchObject({ status: 200, body: { state: "failed" } });
    expect(await events(event.id)).toMatchObject([{ fact: null }]);
  });
});
