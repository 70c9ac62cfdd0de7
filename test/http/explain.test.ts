import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { idOf, textOf, type Answer } from "../support/api.ts";
import { explained } from "../support/explained.ts";
import { places, test as inMarket } from "../support/market.ts";
import { Account, advance, call } from "../support/scenario.ts";

const test = inMarket.extend("told", ({ api }) => {
  /** What each transaction came from, newest first, of credits or of another unit. */
  return async (path: string, unit = "credit") => {
    const money = /^[a-z]{3}$/.test(unit);
    const whole = await explained(
      api,
      `${path}/${money ? "balance" : "ledger"}/explain`,
      money ? `currency=${unit}` : `unit=${unit}`,
    );
    return whole.data.map(({ kind, change, cause, by }) => ({ kind, change: change.available, cause, by }));
  };
});

const moment = expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/);
const operator = { type: "operator", name: "local operator", prefix: expect.stringMatching(/^tg_/) };
const event = (event_type: string) => ({
  type: "event",
  id: expect.stringMatching(/^evt_/),
  provider: "stripe",
  event_type,
  received_at: moment,
});

const listOf = ({ body: { data } }: Answer): Record<string, unknown>[] => {
  if (!Array.isArray(data)) throw new Error("no list");
  return data;
};

test("why is this balance 42?", async ({ api }) => {
  const { id, path, credits } = await api.workspace();
  const client = await api.withKey(["credits:read", "credits:write"], id);
  await api.post(`${credits}/grants`, { pool: "bulk", amount: 60, reason: "welcome" });
  await client.post(`${credits}/spend`, { amount: 8, reason: "a report" }, "order-1");
  const hold = await client.post(`${credits}/holds`, { amount: 10, expires_in: 60, reason: "a long one" });
  await client.post(`${credits}/holds/${idOf(hold)}/settle`, { amount: 5 });
  const wrong = await api.post(`${credits}/adjustments`, { amount: -9, reason: "ticket 9" });
  await api.post(`${credits}/transactions/${textOf(wrong, "transaction_id")}/reverse`, { reason: "it was not" });
  await client.post(`${credits}/holds`, { amount: 5, expires_in: 60 });

  const why = await explained(api, `${path}/ledger/explain`);
  expect(why).toMatchObject({ available: 42, held: 5, debt: 0 });
  expect(why.made_of).toEqual([
    { kind: "adjust", cause: "operator", transactions: 1, available: -9, held: 0, debt: 0 },
    { kind: "grant", cause: "operator", transactions: 1, available: 60, held: 0, debt: 0 },
    { kind: "hold", cause: "key", transactions: 2, available: -15, held: 15, debt: 0 },
    { kind: "reverse", cause: "operator", transactions: 1, available: 9, held: 0, debt: 0 },
    { kind: "settle", cause: "key", transactions: 1, available: 5, held: -10, debt: 0 },
    { kind: "spend", cause: "key", transactions: 1, available: -8, held: 0, debt: 0 },
  ]);
  const byClient = { type: "key", id: uuid, name: "a test's", prefix: client.apiKey.slice(0, 10) };
  expect(why.data).toMatchObject([
    { kind: "hold", after: { available: 42, held: 5 }, hold: { state: "held", amount: 5 }, cause: byClient },
    { kind: "reverse", cause: operator, idempotency_key: null, reverses: { kind: "adjust", reason: "ticket 9" } },
    { kind: "adjust", cause: operator, after: { available: 38, held: 0 } },
    {
      kind: "settle",
      change: { available: 5, held: -10 },
      hold: { id: idOf(hold), state: "settled", amount: 10, reason: "a long one" },
    },
    { kind: "hold", reason: "a long one", hold: { state: "settled" } },
    {
      kind: "spend",
      idempotency_key: "order-1",
      reason: "a report",
      after: { available: 52 },
      cause: byClient,
      by: null,
    },
    { kind: "grant", reason: "welcome", reverses: null, hold: null, cause: operator, by: null },
  ]);
  // Its entries and all that they have in common are the list's.
  const listed = listOf(await api.get(`${credits}/transactions`));
  expect(why.data.map(({ entries }) => entries)).toEqual(listed.map(({ entries }) => entries));
});

const uuid = expect.stringMatching(/^[0-9a-f]{8}-/);

test("of what a workspace never had, nothing is explained", async ({ api }) => {
  const { path } = await api.workspace();
  const nothing = { available: 0, held: 0, debt: 0, made_of: [], data: [], next_cursor: null };
  expect((await api.get(`${path}/ledger/explain?unit=seat`)).body).toEqual({ unit: "seat", ...nothing });
  expect((await api.get(`${path}/balance/explain?currency=usd`)).body).toEqual({ currency: "usd", ...nothing });
});

describe("who may be told", () => {
  test("money takes billing:read, and is no unit of the ledger's route", async ({ api }) => {
    const { id, path } = await api.workspace();
    const [credits, billing] = [await api.withKey(["credits:read"], id), await api.withKey(["billing:read"], id)];
    const answers = async (client: typeof api) => [
      (await client.get(`${path}/ledger/explain`)).status,
      (await client.get(`${path}/balance/explain?currency=eur`)).status,
      (await client.get(`${path}/ledger/explain?unit=eur`)).status,
    ];
    expect(await answers(credits)).toEqual([200, 403, 400]);
    expect(await answers(billing)).toEqual([403, 200, 400]);
    const other = await api.workspace();
    expect((await credits.get(`${other.path}/ledger/explain`)).status).toBe(404);
  });

  test("a customer is not told who the operator's people are", async ({ api }) => {
    const { id, path } = await api.workspace({ bulk: 5 });
    const client = await api.withKey(["credits:read", "credits:write"], id);
    await client.post(`${path}/credits/spend`, { amount: 1 });
    const named = async (reader: typeof api) =>
      (await explained(reader, `${path}/ledger/explain`)).data.map(({ cause }) => "name" in cause && cause.name);
    expect(await named(client)).toEqual(["a test's", null]);
    expect(await named(api)).toEqual(["a test's", "local operator"]);
  });
});

describe("each cause", () => {
  test("purchases and payments: at Stripe, by hand and from the balance, and back again", async ({
    api,
    market,
    told,
  }) => {
    const pack = await market.pack({ quantity: 100, amount_minor: 900 });
    const { path } = await api.workspace();
    await market.pay(await api.post(`${path}/checkout`, { pack, currency: "eur", ...places }));
    await market.pay(await api.post(`${path}/checkout`, { topup_minor: 2500, currency: "eur", ...places }));
    await api.post(`${path}/balance/topups`, { amount_minor: 500, currency: "eur", reference: `bank ${path}` });
    const bought = await api.post(`${path}/purchases`, { pack, currency: "eur" });
    await api.post(`${path}/payments/${textOf(bought, "payment_id")}/refund`, { amount_minor: 300, reason: "late" });

    const purchase = (provider: string, kind: string, amount_minor: number) => ({
      type: "purchase",
      id: uuid,
      kind,
      provider,
      quantity: 1,
      amount_minor,
      currency: "eur",
      payment: { provider, amount_minor },
    });
    const fromBalance = {
      ...purchase("balance", "credit_pack", 900),
      id: idOf(bought),
      state: "partly_refunded",
      pack: { code: pack, version: 1 },
    };
    const payment = { id: bought.body["payment_id"], amount_minor: 900, refunded: 300, disputed: 0 };
    expect(await told(path)).toMatchObject([
      {
        kind: "take_back",
        change: -33,
        cause: { type: "payment", ...payment, purchase_id: idOf(bought) },
        by: operator,
      },
      { kind: "grant", change: 100, cause: fromBalance, by: operator },
      {
        kind: "grant",
        change: 100,
        cause: { ...purchase("stripe", "credit_pack", 900), payment: { reference: expect.stringMatching(/^cs_/) } },
        by: event("checkout.session.completed"),
      },
    ]);
    expect(await told(path, "eur")).toMatchObject([
      {
        kind: "grant",
        change: 300,
        cause: { type: "refund", id: uuid, amount_minor: 300, payment, purchase_id: idOf(bought) },
        by: operator,
      },
      { kind: "charge", change: -900, cause: fromBalance, by: operator },
      {
        kind: "grant",
        change: 500,
        cause: { ...purchase("manual", "balance_topup", 500), payment: { reference: `bank ${path}` } },
        by: operator,
      },
      {
        kind: "grant",
        change: 2500,
        cause: purchase("stripe", "balance_topup", 2500),
        by: event("checkout.session.completed"),
      },
    ]);
  });

  test("a subscription of Stripe's: its period, its upgrade, its limits, its end", async ({ api, market, told }) => {
    const small = await market.plan({ included_credits: 100, seats: 2 });
    const large = await market.plan({ included_credits: 300, seats: 5, amount_minor: 5000 });
    const { path } = await market.subscriber(small);
    await market.stripe.settled();
    await api.post(`${path}/subscription/change`, { plan: large, when: "now" });
    await market.stripe.settled();
    await api.post(`${path}/subscription/cancel`, { when: "now" });
    await market.stripe.settled();
    const subscription = (code: string) => ({
      type: "subscription",
      id: uuid,
      collection: "stripe",
      plan: { code, version: 1 },
    });
    const period = (code: string) => ({
      ...subscription(code),
      period: { number: null, starts_at: moment, ends_at: moment },
      payment: { provider: "stripe", reference: expect.stringMatching(/^in_/) },
    });
    expect(await told(path)).toMatchObject([
      { kind: "reset", cause: { ...subscription(large), period: null, ended_at: moment } },
      { kind: "reset", cause: { ...subscription(large), period: null, ended_at: moment } },
      { kind: "grant", cause: period(large), by: { type: "event" } },
      { kind: "reset", change: 100, cause: period(small), by: { type: "event" } },
    ]);
    expect(await told(path, "seat")).toMatchObject([
      { kind: "limit", change: -5, cause: subscription(large), by: null },
      { kind: "limit", change: 3, cause: subscription(large), by: null },
      { kind: "limit", change: 2, cause: subscription(large), by: null },
    ]);
  });

  test("what a sweep did, with its run for as long as that is kept", async ({ api, db, told }) => {
    const { path, credits } = await api.workspace({ bulk: 9 });
    await api.post(`${credits}/holds`, { amount: 4, expires_in: 60 });
    await advance(db, "2 minutes");
    const ran = await api.post("/v1/sweeps/holds_expire/run");
    await api.post("/v1/sweeps/holds_expire/run");
    const [swept] = await told(path);
    const runs = await db.query<{ id: string }>("select id from ops.sweep_run where name = 'holds_expire' order by id");
    expect([ran.status, swept]).toMatchObject([
      200,
      {
        kind: "hold_expire",
        change: 4,
        cause: {
          type: "sweep",
          name: "holds_expire",
          run: { id: runs.rows[0]?.id, started_at: moment, finished_at: moment },
        },
        by: null,
      },
    ]);
    await db.query("delete from ops.sweep_run");
    expect((await told(path))[0]?.cause).toEqual({ type: "sweep", name: "holds_expire", run: null });
  });

  test("somebody whom the workspace had brought has paid, and got some of it back", async ({ api, told }) => {
    const [{ id, path }, brought] = [await api.workspace(), await api.workspace()];
    await api.put("/v1/referral_policy", { percent: 10, recurring: false });
    expect((await api.put(`${brought.path}/referrer`, { referrer: id })).status).toBe(200);
    const topup = { amount_minor: 1000, currency: "eur", reference: `brought ${id}` };
    const payment_id = textOf(await api.post(`${brought.path}/balance/topups`, topup), "payment_id");
    await api.post(`${brought.path}/payments/${payment_id}/refund`, { amount_minor: 500, reason: "half" });
    const cause = { type: "referral", payment_id, workspace_id: brought.id, amount_minor: 100, currency: "eur" };
    expect(await told(path, "eur")).toMatchObject([
      { kind: "take_back", change: -50, cause, by: operator },
      { kind: "grant", change: 100, cause, by: operator },
    ]);
  });

  test("what names nothing that there is, is told by its type and id, and fails nobody", async ({ api, db, told }) => {
    const { id, path } = await api.workspace();
    const account = new Account(db, { owner: id });
    const gone = randomUUID();
    const types = {
      purchase: "purchase",
      refund: "refund",
      reckon: "payment",
      settle: "payment",
      referral: "referral",
      invoice: "subscription",
      seats: "subscription",
      expire: "expiry",
    };
    for (const word of Object.keys(types)) await account.grant(1, { key: `tg:${word}:${gone}:1` });
    for (const caused_by of [`key:${gone}`, "key:nobody", "event:evt_gone", "sweep:none", "test", "test:a:b"]) {
      await call(db, "ledger.grant", {
        owner_id: id,
        unit: "credit",
        pool: "bulk",
        amount: 1,
        expires_at: null,
        reason: null,
        idempotency_key: `as ${caused_by}`,
        caused_by,
      });
    }
    const found = await told(path);
    expect(found.slice(0, 6).map(({ cause }) => cause)).toMatchObject([
      { type: "other", id: "test:a:b" },
      { type: "other", id: "test" },
      { type: "sweep", name: "none", run: null },
      { type: "event", id: "evt_gone", event_type: null },
      { type: "other", id: "key:nobody" },
      { type: "other", id: `key:${gone}` },
    ]);
    const facts = found.slice(6).toReversed();
    expect(facts.map(({ cause }) => cause.type)).toEqual(Object.values(types));
    expect(facts.map(({ by }) => by)).toEqual(facts.map(() => ({ type: "other", id: "test" })));
  });

  test("a trial, and the periods that the balance paid", async ({ api, db, market, told }) => {
    const code = await market.plan({ included_credits: 100, amount_minor: 1900, trial_days: 7 });
    const { path } = await api.workspace();
    await api.post(`${path}/balance/topups`, { amount_minor: 5000, currency: "eur", reference: `trial ${path}` });
    const begun = await api.post(`${path}/subscription/trial`, { plan: code, currency: "eur", auto_renew: true });
    expect(begun.status, JSON.stringify(begun.body)).toBe(201);
    // The last test: Stripe's clock does not go along.
    await advance(db, "8 days");
    expect((await api.post("/v1/sweeps/auto_renew/run")).status).toBe(200);
    const subscription = {
      type: "subscription",
      id: begun.body["id"],
      collection: "balance",
      plan: { code, version: 1 },
      ended_at: null,
    };
    const period = {
      ...subscription,
      period: { number: 1 },
      payment: { provider: "balance", amount_minor: 1900, reference: `renewal:${String(begun.body["id"])}:1` },
    };
    const sweep = { type: "sweep", name: "auto_renew", run: { id: uuid, started_at: moment, finished_at: moment } };
    expect(await told(path)).toMatchObject([
      { kind: "reset", cause: { ...period, period: { number: 1, starts_at: moment, ends_at: moment } }, by: sweep },
      { kind: "reset", change: 100, cause: { ...subscription, period: null, payment: null }, by: operator },
    ]);
    expect(await told(path, "eur")).toMatchObject([
      { kind: "charge", change: -1900, cause: period, by: sweep },
      { kind: "grant", change: 5000, cause: { type: "purchase" }, by: operator },
    ]);
  });
});
