import { expect } from "vitest";
import { textOf } from "../support/api.ts";
import { inCrypto, test } from "../support/crypto.ts";
import { advance, rows } from "../support/scenario.ts";

test("D12 a checkout in crypto: the same answer, BTCPay's page, and the credits once its coins are confirmed", async ({
  exchange,
  btcpay,
  api,
}) => {
  const bought = await exchange.buying();
  const { invoice, answer, workspace, purchase } = bought;
  expect(answer.body).toEqual({
    id: purchase,
    kind: "credit_pack",
    state: "pending",
    url: `${btcpay.url}/i/${invoice.id}`,
    quantity: 1,
    expires_at: expect.stringMatching(/Z$/),
    created_at: expect.stringMatching(/Z$/),
  });
  expect(invoice).toMatchObject({
    minor: 1000,
    currency: "EUR",
    metadata: { orderId: purchase, tollgateWorkspace: workspace.id },
    redirect: "https://app.example.com/thanks?session={InvoiceId}",
  });
  btcpay.pay(invoice.id);
  await exchange.fetches();
  expect(await exchange.standing(bought)).toMatchObject({ state: "pending", credits: 0, payments: [] });
  expect((await api.get(`${workspace.path}/purchases/${purchase}`)).body).toMatchObject({
    provider: "btcpay",
    url: null,
  });
  btcpay.confirm(invoice.id);
  await exchange.fetches();
  const standing = { state: "paid", credits: 100, balance: 0, payments: ["1000 eur"], alarms: [] };
  expect(await exchange.standing(bought)).toEqual(standing);
  expect((await api.get(`${workspace.path}/payments`)).body["data"]).toMatchObject([
    { provider: "btcpay", reference: invoice.id, purchase_id: purchase, amount_minor: 1000, currency: "eur" },
  ]);
  // The watcher comes behind it, and finds nothing to do.
  expect(await exchange.watches([purchase])).toMatchObject([{ processed: 1, failed: 0, error: null }]);
  expect(await exchange.standing(bought)).toEqual(standing);
});

test("D12 nobody told of it: the watcher alone finalizes, and a webhook that comes late changes nothing", async ({
  exchange,
  btcpay,
}) => {
  const bought = await exchange.buying();
  btcpay.deliveries = "held";
  btcpay.pay(bought.invoice.id, { confirmed: true });
  expect(await exchange.watches([bought.purchase])).toMatchObject([{ processed: 1, failed: 0 }]);
  const standing = { state: "paid", credits: 100, balance: 0, payments: ["1000 eur"], alarms: [] };
  expect(await exchange.standing(bought)).toEqual(standing);
  btcpay.deliveries = "automatic";
  for (const delivery of [...btcpay.told].filter(({ invoiceId }) => invoiceId === bought.invoice.id)) {
    btcpay.redeliver(delivery);
  }
  expect(await exchange.fetches()).toMatchObject([{ failed: 0 }]);
  expect(await exchange.standing(bought)).toEqual(standing);
});

test("a plan in crypto is one period, and the next ones are paid from the balance; a top-up is money", async ({
  exchange,
  btcpay,
  api,
}) => {
  const prices = [{ currency: "eur", interval: "month", amount_minor: 1900 }];
  await api.post("/v1/plans", { code: "crypto_plan", name: "Pro", included_credits: 20, prices });
  const plan = await exchange.buying({ plan: "crypto_plan" });
  const again = await api.post(`${plan.workspace.path}/checkout`, inCrypto({ plan: "crypto_plan" }));
  expect([again.status, again.body["id"]]).toEqual([201, plan.purchase]);
  expect(btcpay.of(plan.purchase)).toHaveLength(1);
  btcpay.pay(plan.invoice.id, { confirmed: true });
  const topup = await exchange.buying({ topup_minor: 2500 });
  btcpay.pay(topup.invoice.id, { confirmed: true });
  await exchange.fetches();
  expect(await exchange.standing(plan)).toMatchObject({ state: "paid", credits: 20, payments: ["1900 eur"] });
  expect((await api.get(`${plan.workspace.path}/subscription`)).body).toMatchObject({
    state: "active",
    collection: "balance",
  });
  expect(await exchange.standing(topup)).toMatchObject({ state: "paid", balance: 2500, payments: ["2500 eur"] });
});

test("what only Stripe collects is no choice of who pays in crypto", async ({ exchange, api }) => {
  const { path } = await api.workspace();
  const pack = await exchange.pack();
  for (const [what, pointer] of [
    [{ plan: "crypto_plan", collection: "stripe" }, "/collection"],
    [{ plan: "crypto_plan", identity: "user-1" }, "/identity"],
    [{ pack, collection: "balance" }, "/collection"],
    [{ pack, provider: "bitpay" }, "/provider"],
    [{ pack, success_url: "https://evil.example/" }, "/success_url"],
  ] as const) {
    const answer = await api.post(`${path}/checkout`, { ...inCrypto({}), ...what });
    expect(JSON.stringify(answer.body)).toContain(`"pointer":"${pointer}"`);
    expect(answer.status).toBeGreaterThanOrEqual(400);
  }
});

test("a zero-decimal currency and a large amount are asked for exactly; what BTCPay cannot keep is refused, and nobody waits for it", async ({
  exchange,
  btcpay,
  api,
}) => {
  for (const [currency, amount_minor, amount] of [
    ["jpy", 1501, 1501],
    ["kwd", 1501, 1501],
    ["eur", 99_999_999, 99_999_999],
  ] as const) {
    const bought = await exchange.buying({ pack: await exchange.pack({ currency, amount_minor }), currency });
    expect(bought.invoice).toMatchObject({ currency: currency.toUpperCase(), minor: amount });
    btcpay.pay(bought.invoice.id, { confirmed: true });
    await exchange.fetches();
    expect(await exchange.standing(bought)).toMatchObject({ state: "paid", payments: [`${amount_minor} ${currency}`] });
  }
  for (const [currency, detail] of [
    ["isk", "BTCPay has no such amount in this currency"],
    ["xxx", "Error retrieving a matching payment method or rate."],
  ] as const) {
    const { path } = await api.workspace();
    const pack = await exchange.pack({ currency, amount_minor: 1050 });
    const refused = await api.post(`${path}/checkout`, { ...inCrypto({ pack }), currency });
    expect(refused).toMatchObject({ status: 422, body: { code: "provider_refused", detail } });
    expect((await api.get(`${path}/purchases`)).body["data"]).toMatchObject([{ state: "canceled", url: null }]);
  }
  expect([...btcpay.invoices.values()].filter(({ currency }) => currency === "ISK")).toMatchObject([
    { status: "Invalid" },
  ]);
});

test("a purchase is cancelled: its invoice can no longer be paid; with money on its way it stays", async ({
  exchange,
  btcpay,
  api,
}) => {
  const cancel = ({ workspace, purchase }: { workspace: { path: string }; purchase: string }) =>
    api.post(`${workspace.path}/purchases/${purchase}/cancel`, {});
  const unpaid = await exchange.buying();
  expect(await cancel(unpaid)).toMatchObject({ status: 200, body: { state: "canceled", url: null } });
  expect(unpaid.invoice).toMatchObject({ status: "Invalid", additional: "Marked" });
  const partly = await exchange.buying();
  btcpay.pay(partly.invoice.id, { minor: 400 });
  expect(await cancel(partly)).toMatchObject({ status: 200, body: { state: "pending" } });
  btcpay.confirm(partly.invoice.id);
  btcpay.expire(partly.invoice.id);
  await exchange.fetches();
  expect(await exchange.standing(partly)).toMatchObject({ state: "canceled", payments: ["400 eur kept"] });
  const paid = await exchange.buying();
  btcpay.deliveries = "dropped";
  btcpay.pay(paid.invoice.id, { confirmed: true });
  expect(await cancel(paid)).toMatchObject({ status: 200, body: { state: "paid" } });
});

test("D12 who moved it can be told: a purchase by an event of BTCPay's; an event is shown, and applied again without effect", async ({
  exchange,
  btcpay,
  api,
  db,
}) => {
  const bought = await exchange.buying();
  btcpay.pay(bought.invoice.id, { confirmed: true });
  await exchange.fetches();
  const [moved] = await rows<{ caused_by: string }>(
    db,
    "select caused_by from ledger.transaction where owner_id = $1 and unit = 'credit'",
    [bought.workspace.id],
  );
  const id = textOf({ status: 200, headers: new Headers(), body: { ...moved } }, "caused_by").replace("event:", "");
  const event = await api.get(`/v1/events/${id}`);
  expect(event.body).toMatchObject({
    provider: "btcpay",
    state: "applied",
    subject: bought.invoice.id,
    outcome: "paid",
  });
  const before = await exchange.standing(bought);
  expect(await api.post(`/v1/events/${id}/replay`, {})).toMatchObject({ status: 200, body: { state: "applied" } });
  expect(await exchange.standing(bought)).toEqual(before);
  const explained = await api.get(`${bought.workspace.path}/ledger/explain`);
  expect(JSON.stringify(explained.body)).toContain('"provider":"btcpay"');
});

test("D12 a purchase nobody pays ends by the watcher; it is watched for a week more, and then no longer", async ({
  exchange,
  btcpay,
  db,
}) => {
  const bought = await exchange.buying();
  btcpay.deliveries = "dropped";
  btcpay.expire(bought.invoice.id);
  await exchange.watches([bought.purchase]);
  expect(await exchange.standing(bought)).toMatchObject({ state: "expired", payments: [], alarms: [] });
  const due = () =>
    rows<{ due: boolean }>(db, "select check_due_at is not null as due from payments.purchase where id = $1", [
      bought.purchase,
    ]);
  expect(await due()).toEqual([{ due: true }]);
  await advance(db, "8 days");
  await exchange.watches([bought.purchase]);
  expect(await due()).toEqual([{ due: false }]);
});

test("a purchase without an invoice of its own is over, whoever named another one so; one that is found is its own", async ({
  exchange,
  btcpay,
  api,
  db,
}) => {
  /** Whoever made its invoice died before writing it down; there is one of somebody else's, of another amount. */
  const unwritten = async (made: boolean) => {
    const bought = await exchange.buying();
    await db.query("update payments.purchase set provider_id = null, leased_until = null where id = $1", [
      bought.purchase,
    ]);
    if (!made) bought.invoice.metadata["orderId"] = "another";
    btcpay.make({ orderId: bought.purchase, minor: 100 });
    return bought;
  };
  const [none, found] = [await unwritten(false), await unwritten(true)];
  expect(await exchange.watches([none.purchase, found.purchase])).toMatchObject([{ processed: 2, failed: 0 }]);
  expect(await exchange.standing(none)).toMatchObject({ state: "expired", payments: [] });
  expect(await exchange.standing(found)).toMatchObject({ state: "pending" });
  btcpay.pay(found.invoice.id, { confirmed: true });
  await exchange.watches([found.purchase]);
  expect(await exchange.standing(found)).toMatchObject({ state: "paid", payments: ["1000 eur"] });
  for (const bought of [await unwritten(false), await unwritten(true)]) {
    const answer = await api.post(`${bought.workspace.path}/purchases/${bought.purchase}/cancel`, {});
    expect(answer).toMatchObject({ status: 200, body: { state: "canceled" } });
  }
});
