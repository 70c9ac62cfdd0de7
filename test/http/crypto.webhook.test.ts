import { expect } from "vitest";
import { until } from "../support/barrier.ts";
import { inCrypto, test as inExchange } from "../support/crypto.ts";
import { rows } from "../support/scenario.ts";
import { answered } from "../support/webhook.ts";
import { newId, sign } from "../world/btcpay/webhooks.ts";

const path = "/webhooks/btcpay";

const test = inExchange.extend("post", ({ exchange }) => {
  return async (body: string | Uint8Array<ArrayBuffer>, header: string | null, url = exchange.worker.url) => {
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (header !== null) headers["BTCPay-Sig"] = header;
    const answer = await fetch(`${url}${path}`, { method: "POST", headers, body });
    const read: unknown = await answer.json();
    return { status: answer.status, body: read };
  };
});

const deliveryOf = (changes: object = {}) => {
  const deliveryId = newId();
  return {
    deliveryId,
    webhookId: "webhook1",
    originalDeliveryId: deliveryId,
    isRedelivery: false,
    type: "InvoiceSettled",
    timestamp: 1_790_000_000,
    storeId: "StoreInMiniature",
    invoiceId: newId(),
    metadata: {},
    ...changes,
  };
};

test("what is not signed by the store's secret is refused by name, and nothing is written of it", async ({
  post,
  exchange,
  db,
}) => {
  const body = JSON.stringify(deliveryOf());
  const right = sign(body, exchange.secret);
  const wrong: [string, string | null][] = [
    [body, null],
    [body, ""],
    [body, "sha256="],
    [body, sign(body, "another secret")],
    [body, right.slice(0, -1)],
    [body, `${right}00`],
    [body, right.replace("sha256=", "sha1=")],
    [body, right.replace("sha256=", "")],
    [`${body} `, right],
    [body.replace("InvoiceSettled", "InvoiceInvalid"), right],
  ];
  for (const [text, header] of wrong) {
    expect([header, await post(text, header)]).toMatchObject([
      header,
      { status: 400, body: { code: "signature_invalid" } },
    ]);
  }
  expect(await rows(db, "select from ops.event where type in ('InvoiceSettled', 'InvoiceInvalid')")).toEqual([]);
});

test("what is signed and is no event is refused by name; so is a body of 10 MB", async ({ post, exchange }) => {
  for (const body of [
    "",
    "null",
    "[]",
    "{}",
    "{",
    JSON.stringify({ ...deliveryOf(), deliveryId: "" }),
    JSON.stringify(deliveryOf({ timestamp: "now" })),
  ]) {
    expect([body, await post(body, sign(body, exchange.secret))]).toMatchObject([
      body,
      { status: 400, body: { code: "validation_failed", errors: [{ code: "not_an_event" }] } },
    ]);
  }
  const bytes = new Uint8Array([0xff, 0xfe]);
  expect(await post(bytes, sign(bytes, exchange.secret))).toMatchObject({
    status: 400,
    body: { code: "validation_failed" },
  });
  const large = new Uint8Array(10_000_000).fill(0x20);
  expect(await answered(() => post(large, sign(large, exchange.secret)))).toMatchObject({
    status: 413,
    body: { code: "body_too_large" },
  });
});

test("another store's is kept without effect, under an alarm; a type without effect is ignored; an unknown invoice is nothing of ours", async ({
  post,
  exchange,
  btcpay,
  db,
}) => {
  const send = async (changes: object) => {
    const delivery = deliveryOf(changes);
    const body = JSON.stringify(delivery);
    return { id: delivery.deliveryId, answer: await post(body, sign(body, exchange.secret)) };
  };
  const strange = await send({ storeId: "AnotherStore" });
  expect(strange.answer).toEqual({ status: 200, body: { received: true, state: "foreign", duplicate: false } });
  expect(await rows(db, "select outcome from ops.event where id = $1", [strange.id])).toEqual([{ outcome: "store" }]);
  expect(
    await rows(db, "select from ops.alarm where code = 'event_foreign' and subject = 'btcpay' and closed_at is null"),
  ).toHaveLength(1);
  expect((await send({ type: "PayoutCreated", invoiceId: undefined })).answer.body).toMatchObject({ state: "ignored" });
  const unknown = await send({});
  const trial = await send({ invoiceId: "__test__1f0b1a52-6b25-4b4e-93a1-1c1f1b0a6f0e__test__" });
  const others = btcpay.make({ orderId: "somebody-elses-order", minor: 100 });
  const theirs = await send({ invoiceId: others.id });
  const renamed = btcpay.make({ orderId: "01a20225-971a-77cf-bd60-b9d3b116cf76", minor: 100 });
  const nobodys = await send({ invoiceId: renamed.id });
  await exchange.fetches();
  const standing = (of: { id: string }) => rows(db, "select state, outcome from ops.event where id = $1", [of.id]);
  for (const of of [unknown, trial, theirs]) expect(await standing(of)).toMatchObject([{ state: "ignored" }]);
  expect(await standing(nobodys)).toEqual([{ state: "applied", outcome: "not_ours" }]);
});

test("D12 the same delivery 50 times at once, and sent again, is one event; what it claims is not believed", async ({
  post,
  exchange,
  db,
}) => {
  const bought = await exchange.buying();
  const delivery = deliveryOf({ invoiceId: bought.invoice.id, metadata: { orderId: bought.purchase }, overPaid: true });
  const body = JSON.stringify(delivery);
  const answers = await Promise.all(Array.from({ length: 50 }, () => post(body, sign(body, exchange.secret))));
  expect(answers.filter((answer) => JSON.stringify(answer.body).includes('"duplicate":false'))).toHaveLength(1);
  const again = JSON.stringify({ ...delivery, deliveryId: newId(), isRedelivery: true });
  expect(await post(again, sign(again, exchange.secret))).toMatchObject({ status: 200, body: { duplicate: true } });
  expect(await rows(db, "select state from ops.event where id = $1", [delivery.deliveryId])).toEqual([
    { state: "fetching" },
  ]);
  await exchange.fetches();
  expect(await exchange.standing(bought)).toMatchObject({ state: "pending", credits: 0, payments: [] });
});

test("two secrets are taken while one is rolled; without one, or without BTCPay: 500 and an alarm, and no checkout", async ({
  post,
  exchange,
  world,
  db,
}) => {
  const rolling = await world.another({ ...exchange.bindings, BTCPAY_WEBHOOK_SECRET_OLD: "the-secret-before" });
  for (const secret of [exchange.secret, "the-secret-before"]) {
    const body = JSON.stringify(deliveryOf());
    expect(await post(body, sign(body, secret), rolling.url)).toMatchObject({ status: 200 });
  }
  const { BTCPAY_API_KEY: _, ...without } = exchange.bindings;
  const { BTCPAY_WEBHOOK_SECRET: __, ...deaf } = exchange.bindings;
  for (const [i, bindings] of [without, deaf].entries()) {
    const worker = await world.another(bindings);
    const body = JSON.stringify(deliveryOf());
    expect(await post(body, sign(body, exchange.secret), worker.url)).toMatchObject({
      status: 500,
      body: { code: "misconfigured" },
    });
    expect(
      await rows(db, "select times from ops.alarm where code = 'btcpay_not_configured' and closed_at is null"),
    ).toEqual([{ times: i + 1 }]);
  }
  const bare = await world.another(without);
  const { path: place } = await exchange.api.workspace();
  const answer = await fetch(`${bare.url}${place}/checkout`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${exchange.api.apiKey}`,
      "Content-Type": "application/json",
      "Idempotency-Key": "bare",
    },
    body: JSON.stringify(inCrypto({ topup_minor: 100 })),
  });
  expect([answer.status, await answer.json()]).toEqual([500, expect.objectContaining({ code: "misconfigured" })]);
});

test("the way in takes POST only, and logs one line a delivery with nothing of its body", async ({
  post,
  exchange,
}) => {
  for (const method of ["GET", "PUT", "DELETE"]) {
    const answer = await fetch(`${exchange.worker.url}${path}`, { method });
    expect([answer.status, answer.headers.get("Allow")]).toEqual([405, "POST"]);
  }
  await exchange.btcpay.settled();
  const delivery = deliveryOf({ metadata: { note: "private" } });
  const body = JSON.stringify(delivery);
  await post(body, sign(body, exchange.secret));
  // It comes by a way of its own: it may be there after the answer.
  const logged = () =>
    exchange.worker.logs.map(({ message }) => message).find((one) => one.includes(delivery.deliveryId));
  await until("it is logged", async () => logged() !== undefined);
  const line = logged();
  expect(JSON.parse(line ?? "")).toMatchObject({
    route: path,
    status: 200,
    round_trips: 1,
    event: delivery.deliveryId,
  });
  expect(line).not.toContain("private");
  expect(line).not.toContain(exchange.secret);
});
