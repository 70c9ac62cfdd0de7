import { expect } from "vitest";
import { idOf, textOf } from "../support/api.ts";
import { places, test } from "../support/market.ts";

test("D1 a customer tops the balance up at Stripe: what was paid is there, told once or five times", async ({
  market,
  api,
}) => {
  const { path } = await api.workspace();
  const checkout = await api.post(`${path}/checkout`, { topup_minor: 2500, currency: "eur", ...places });
  expect([checkout.status, checkout.body]).toMatchObject([201, { kind: "balance_topup", state: "pending" }]);
  expect((await api.get(`${path}/balance`)).body).toEqual({ data: [] });
  await market.pay(checkout);
  const [completed] = market.stripe.events("checkout.session.completed").slice(-1);
  if (completed === undefined) throw new Error("nobody was told");
  await market.stripe.deliver(completed, { times: 5 });
  expect((await api.get(`${path}/balance`)).body).toEqual({
    data: [{ currency: "eur", available: 2500, held: 0, debt: 0 }],
  });
  expect((await api.get(`${path}/payments`)).body).toMatchObject({
    data: [{ amount_minor: 2500, currency: "eur", provider: "stripe", purchase_id: idOf(checkout) }],
  });
  const transactions = await api.get(`${path}/balance/transactions?currency=eur`);
  expect(transactions.body).toMatchObject({
    data: [
      {
        kind: "grant",
        amount: 2500,
        entries: [
          { side: "payments", amount: -2500 },
          { side: "available", pool: "balance", amount: 2500 },
        ],
        caused_by: expect.stringMatching(/^event:evt_/),
      },
    ],
  });
  await market.stripe.settled();
});

test("D7 a pack is paid from the balance; what is not there is refused with what there is", async ({ market, api }) => {
  const pack = await market.pack({ quantity: 100, amount_minor: 900 });
  const { path, credits } = await api.workspace();
  const buy = { pack, currency: "eur" };
  const poor = await api.post(`${path}/purchases`, buy);
  expect([poor.status, poor.body]).toMatchObject([
    402,
    { code: "insufficient_balance", available: 0, required: 900, currency: "eur" },
  ]);
  const topup = { amount_minor: 1000, currency: "eur", reference: `bank-${path}` };
  expect((await api.post(`${path}/balance/topups`, topup)).status).toBe(201);
  const bought = await api.post(`${path}/purchases`, buy, "buy-once");
  expect([bought.status, bought.body]).toMatchObject([
    201,
    { kind: "credit_pack", state: "paid", amount_minor: 900, available: 100 },
  ]);
  expect((await api.post(`${path}/purchases`, buy, "buy-once")).body).toEqual(bought.body);
  expect((await api.get(credits)).body).toMatchObject({ available: 100 });
  expect((await api.get(`${path}/purchases`)).body).toMatchObject({
    data: [
      { provider: "balance", state: "paid", pack: { code: pack } },
      { provider: "manual", kind: "balance_topup", state: "paid" },
    ],
  });
  const refunded = await api.post(`${path}/payments/${textOf(bought, "payment_id")}/refund`, { reason: "ticket 1" });
  expect([refunded.status, refunded.body]).toMatchObject([201, { refunded: 900, available: 1000 }]);
  expect((await api.get(credits)).body).toMatchObject({ available: 0 });
  const again = await api.post(`${path}/payments/${textOf(bought, "payment_id")}/refund`, { reason: "ticket 1" });
  expect([again.status, again.body["code"]]).toEqual([422, "amount_exceeds_payment"]);
});

test("a workspace's key buys from its own balance, and neither tops up by hand nor refunds", async ({
  market,
  api,
}) => {
  const pack = await market.pack();
  const [own, other] = [await api.workspace(), await api.workspace()];
  const client = await api.withKey(["billing:read", "billing:write"], own.id);
  expect((await client.get(`${own.path}/balance`)).body).toEqual({ data: [] });
  expect((await client.get(`${other.path}/balance`)).status).toBe(404);
  expect((await client.post(`${other.path}/purchases`, { pack, currency: "eur" })).status).toBe(404);
  const topup = { amount_minor: 1, currency: "eur", reference: "mine" };
  expect((await client.post(`${own.path}/balance/topups`, topup)).body["code"]).toBe("forbidden");
  const refund = `${own.path}/payments/0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b/refund`;
  expect((await client.post(refund, { reason: "x" })).body["code"]).toBe("forbidden");
});

test("what cannot be a top-up is refused by its member", async ({ api }) => {
  const { path } = await api.workspace();
  for (const [body, pointer] of [
    [{ topup_minor: 0, currency: "eur" }, "/topup_minor"],
    [{ topup_minor: 100, pack: "sack", currency: "eur" }, "/plan"],
    [{ topup_minor: 100, quantity: 2, currency: "eur" }, "/quantity"],
    [{ topup_minor: 100, interval: "month", currency: "eur" }, "/interval"],
  ] as const) {
    const refused = await api.post(`${path}/checkout`, { ...body, ...places });
    expect([refused.status, refused.body["errors"]]).toMatchObject([400, [{ pointer }]]);
  }
  const hand = await api.post(`${path}/balance/topups`, { amount_minor: -5, currency: "EUR", reference: "" });
  expect(hand.body["errors"]).toMatchObject([
    { pointer: "/amount_minor" },
    { pointer: "/currency" },
    { pointer: "/reference" },
  ]);
});
