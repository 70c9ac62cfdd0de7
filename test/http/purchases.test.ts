import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { Api, idOf, textOf, type Answer, type Workspace } from "../support/api.ts";
import { sweepOnly } from "../support/sweeping.ts";
import { test as inWorld } from "../support/world.ts";

// What is quoted, bought from the balance, and paid by hand, in a deployment without Stripe.

let made = 0;

const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  // A plan of 20 € a month or 200 € a year, without credits unless told: periods of it may be bought ahead.
  .extend("plan", ({ api }) => async (wish: object = {}) => {
    const code = `plan_${(made += 1)}`;
    const month = { currency: "eur", interval: "month", amount_minor: 2000 };
    const prices = [month, { ...month, interval: "year", amount_minor: 20_000 }];
    const answer = await api.post("/v1/plans", { code, name: code, included_credits: 0, prices, ...wish });
    expect(answer.status).toBe(201);
    return code;
  })
  // A pack of 100 credits at 9 €.
  .extend("pack", ({ api }) => async (wish: object = {}) => {
    const code = `pack_${(made += 1)}`;
    const prices = [{ currency: "eur", amount_minor: 900 }];
    const answer = await api.post("/v1/packs", {
      code,
      kind: "credit_pack",
      name: code,
      quantity: 100,
      prices,
      ...wish,
    });
    expect(answer.status).toBe(201);
    return code;
  })
  .extend("promo", ({ api }) => async (wish: object) => {
    const answer = await api.post("/v1/promo_codes", { code: `code-${(made += 1)}`, ...wish });
    expect(answer.status).toBe(201);
    return textOf(answer, "code");
  });

const reference = () => `bank-${randomUUID()}`;

async function topUp(api: Api, { path }: Workspace, amount_minor: number): Promise<void> {
  const answer = await api.post(`${path}/balance/topups`, { amount_minor, currency: "eur", reference: reference() });
  expect(answer.status).toBe(201);
}

/** What the balance has, by currency. */
async function balance(api: Api, { path }: Workspace): Promise<Record<string, number>> {
  const { data } = (await api.get(`${path}/balance`)).body;
  return Object.fromEntries(Array.isArray(data) ? data.map((one) => [one.currency, one.available]) : []);
}

/** The payments of a workspace, newest first: amount, currency, and whether it waits to be settled. */
async function payments(api: Api, { path }: Workspace): Promise<unknown[]> {
  const { data } = (await api.get(`${path}/payments`)).body;
  if (!Array.isArray(data)) throw new Error("no payments");
  return data.map((one) => [one.amount_minor, one.currency, one.unsettled_at === null ? "counts" : "waits"]);
}

/** The open alarms of a purchase. */
async function alarmsOf(api: Api, purchase: Answer): Promise<unknown[]> {
  const { data } = (await api.get("/v1/alarms?limit=100")).body;
  return Array.isArray(data) ? data.filter(({ subject }) => subject === `purchase:${idOf(purchase)}`) : [];
}

const said = ({ status, body }: Answer) => [status, body["code"] ?? body["outcome"] ?? body["state"]];

describe("a quote", () => {
  test("says what a thing costs, with a promo code or without, and holds nothing", async ({
    api,
    db,
    pack,
    plan,
    promo,
  }) => {
    const [thing, period, code] = [await pack(), await plan(), await promo({ percent: 33, max_redemptions: 1 })];
    const { path, id } = await api.workspace();
    const client = await api.withKey(["billing:read"], id);
    const quote = (wish: object) => client.post(`${path}/quotes`, { currency: "eur", ...wish }, null);
    const nothing = { quantity: 1, discount_minor: 0, currency: "eur", trial_days: 0 };
    expect((await quote({ pack: thing })).body).toEqual({
      ...nothing,
      kind: "credit_pack",
      list_minor: 900,
      amount_minor: 900,
    });
    for (const typed of [code, ` ${code.toLowerCase()}\t`, `\u00a0${code}\n`]) {
      expect((await quote({ pack: thing, quantity: 3, promo_code: typed })).body).toMatchObject({
        quantity: 3,
        list_minor: 2700,
        discount_minor: 891,
        amount_minor: 1809,
      });
    }
    expect((await quote({ plan: period, interval: "year", promo_code: code })).body).toMatchObject({
      kind: "subscription",
      list_minor: 20_000,
      amount_minor: 13_400,
    });
    expect((await quote({ topup_minor: 2500 })).body).toMatchObject({ kind: "balance_topup", amount_minor: 2500 });
    const { rows } = await db.query("select from payments.purchase where workspace_id = $1", [id]);
    expect(rows).toEqual([]);
    expect((await api.get(`/v1/promo_codes?code=${code}`)).body["data"]).toMatchObject([{ held: 0, redeemed: 0 }]);
  });

  test("of what is not sold so, or with a code that cannot be used, is refused by name", async ({
    api,
    pack,
    plan,
    promo,
  }) => {
    const [thing, period] = [await pack(), await plan()];
    const { path } = await api.workspace();
    const packs = await promo({ percent: 10, kinds: ["credit_pack"] });
    const dollars = await promo({ amounts: [{ currency: "usd", amount_minor: 100 }] });
    const early = await promo({ percent: 10, starts_at: "2090-01-01T00:00:00Z", ends_at: "2090-02-01T00:00:00Z" });
    const late = await promo({ percent: 10, ends_at: "2020-01-01T00:00:00Z" });
    const gone = await promo({ percent: 10 });
    await api.post(`/v1/promo_codes/${gone}/disable`);
    const refusals: [object, number, string][] = [
      [{ plan: "nothing" }, 422, "plan_unknown"],
      [{ plan: period, version: 9 }, 422, "plan_unknown"],
      [{ plan: period, currency: "usd" }, 422, "price_unknown"],
      [{ plan: period, interval: "week" }, 422, "price_unknown"],
      [{ plan: period, interval_count: 2 }, 422, "price_unknown"],
      [{ pack: "nothing" }, 422, "pack_unknown"],
      [{ pack: thing, currency: "usd" }, 422, "price_unknown"],
      [{ pack: thing, promo_code: "NOBODY" }, 422, "promo_unknown"],
      [{ pack: thing, promo_code: gone }, 422, "promo_unknown"],
      [{ pack: thing, promo_code: early }, 422, "promo_expired"],
      [{ pack: thing, promo_code: late }, 422, "promo_expired"],
      [{ plan: period, promo_code: packs }, 422, "promo_not_for_this"],
      [{ pack: thing, promo_code: dollars }, 422, "promo_not_for_this"],
      [{ plan: period, collection: "stripe", promo_code: late }, 422, "promo_expired"],
    ];
    for (const [body, status, code] of refusals) {
      const asked = { currency: "eur", ...body };
      expect([body, ...said(await api.post(`${path}/quotes`, asked))]).toEqual([body, status, code]);
      if ("collection" in body) continue;
      for (const provider of ["balance", "manual"]) {
        const answer = await api.post(`${path}/purchases`, { ...asked, provider });
        expect([provider, body, ...said(answer)]).toEqual([provider, body, status, code]);
      }
    }
    expect((await api.post(`${path}/quotes`, { currency: "eur", pack: thing, promo_code: early })).body).toMatchObject({
      starts_at: expect.stringMatching(/^2090-01-01T00:00:00/),
      ends_at: expect.stringMatching(/^2090-02-01T00:00:00/),
    });
    expect((await api.get(`${path}/purchases`)).body["data"]).toEqual([]);
    expect(said(await api.post(`/v1/workspaces/${randomUUID()}/quotes`, { currency: "eur", pack: thing }))).toEqual([
      404,
      "not_found",
    ]);
  });

  test("and a purchase take no negative, no zero and no endless period, quantity or money", async ({ api, plan }) => {
    const period = await plan();
    const { path } = await api.workspace();
    const bad: [object, string][] = [
      [{ plan: period, quantity: 0 }, "/quantity"],
      [{ plan: period, quantity: -1 }, "/quantity"],
      [{ plan: period, quantity: 10_001 }, "/quantity"],
      [{ plan: period, interval_count: 0 }, "/interval_count"],
      [{ plan: period, interval_count: -3 }, "/interval_count"],
      [{ plan: period, interval: "infinity" }, "/interval"],
      [{ plan: period, interval: "-1 month" }, "/interval"],
      [{ plan: period, version: 0 }, "/version"],
      [{ plan: period, promo_code: "a b" }, "/promo_code"],
      [{ plan: period, promo_code: "" }, "/promo_code"],
      [{ plan: period, currency: "EUR" }, "/currency"],
      [{ plan: period, pack: period }, "/plan"],
      [{ pack: period, interval: "month" }, "/interval"],
      [{ topup_minor: 0 }, "/topup_minor"],
      [{ topup_minor: -5 }, "/topup_minor"],
      [{ topup_minor: 1e15 }, "/topup_minor"],
      [{ topup_minor: 5, quantity: 2 }, "/quantity"],
      [{}, "/plan"],
    ];
    for (const [body, pointer] of bad) {
      for (const [at, more] of [
        ["quotes", {}],
        ["purchases", { provider: "manual" }],
      ] as const) {
        const answer = await api.post(`${path}/${at}`, { currency: "eur", ...more, ...body });
        expect([at, body, answer.status, answer.body["errors"]]).toMatchObject([at, body, 400, [{ pointer }]]);
      }
    }
    const manual = { plan: period, currency: "eur", provider: "manual" };
    for (const [body, pointer] of [
      [{ ...manual, expires_in: 0 }, "/expires_in"],
      [{ ...manual, expires_in: -60 }, "/expires_in"],
      [{ ...manual, expires_in: "infinity" }, "/expires_in"],
      [{ ...manual, provider: "balance", expires_in: 600 }, "/expires_in"],
      [{ currency: "eur", topup_minor: 100 }, "/topup_minor"],
      [{ ...manual, provider: "stripe" }, "/provider"],
      [{ currency: "eur", provider: "manual", topup_minor: 100, auto_renew: true }, "/auto_renew"],
    ] as const) {
      const answer = await api.post(`${path}/purchases`, body);
      expect([body, answer.status, answer.body["errors"]]).toMatchObject([body, 400, [{ pointer }]]);
    }
    for (const [body, pointer] of [
      [{ pack: "some", currency: "eur", collection: "balance" }, "/collection"],
      [{ topup_minor: 100, currency: "eur", collection: "stripe" }, "/collection"],
    ] as const) {
      expect((await api.post(`${path}/quotes`, body)).body["errors"]).toMatchObject([{ pointer }]);
    }
    expect((await api.get(`${path}/purchases`)).body["data"]).toEqual([]);
  });
});

describe("from the balance", () => {
  test("D2 a period of a plan is bought, its key is there, and another period of it makes it longer", async ({
    api,
    plan,
  }) => {
    const code = await plan({ access: true });
    const workspace = await api.workspace();
    const client = await api.withKey(["billing:read", "billing:write"], workspace.id);
    const order = { plan: code, currency: "eur", auto_renew: false };
    const poor = await client.post(`${workspace.path}/purchases`, order);
    expect([poor.status, poor.body]).toMatchObject([
      402,
      { code: "insufficient_balance", available: 0, required: 2000, currency: "eur" },
    ]);
    expect((await client.get(`${workspace.path}/access_keys`)).body["data"]).toEqual([]);
    await topUp(api, workspace, 4500);
    const key = randomUUID();
    const bought = await client.post(`${workspace.path}/purchases`, order, key);
    expect([bought.status, bought.body]).toMatchObject([
      201,
      {
        kind: "subscription",
        state: "paid",
        list_minor: 2000,
        discount_minor: 0,
        amount_minor: 2000,
        available: 2500,
        expires_at: null,
        payment_id: expect.any(String),
        subscription_id: expect.any(String),
      },
    ]);
    const again = await client.post(`${workspace.path}/purchases`, order, key);
    expect([again.status, again.body]).toEqual([201, bought.body]);
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    const first = (await client.get(`${workspace.path}/subscription`)).body;
    expect(first).toMatchObject({ state: "active", collection: "balance", auto_renew: false, period: 1 });
    const keys = (await client.get(`${workspace.path}/access_keys`)).body["data"];
    expect(keys).toMatchObject([{ state: "pending" }]);

    const more = await client.post(`${workspace.path}/purchases`, order);
    expect(more.body).toMatchObject({ subscription_id: bought.body["subscription_id"], available: 500 });
    const second = (await client.get(`${workspace.path}/subscription`)).body;
    expect(second["period"]).toBe(2);
    expect(Date.parse(String(second["ends_at"]))).toBeGreaterThan(
      Date.parse(String(first["ends_at"])) + 27 * 86_400_000,
    );
    expect((await client.get(`${workspace.path}/access_keys`)).body["data"]).toMatchObject([{ state: "pending" }]);
    // Another plan cannot be had beside what is paid for.
    expect(said(await client.post(`${workspace.path}/purchases`, { ...order, plan: await plan() }))).toEqual([
      409,
      "subscription_exists",
    ]);
  });

  test("what a promo code makes free is bought for nothing, and used up", async ({ api, pack, promo }) => {
    const [thing, code] = [await pack(), await promo({ percent: 100, max_redemptions: 2, per_workspace: 1 })];
    const [workspace, other, third] = [await api.workspace(), await api.workspace(), await api.workspace()];
    const order = { pack: thing, currency: "eur", promo_code: code };
    const bought = await api.post(`${workspace.path}/purchases`, order);
    expect([bought.status, bought.body]).toMatchObject([
      201,
      { state: "paid", list_minor: 900, discount_minor: 900, amount_minor: 0, available: 0 },
    ]);
    expect((await api.get(workspace.credits)).body["available"]).toBe(100);
    expect(said(await api.post(`${workspace.path}/purchases`, order))).toEqual([409, "promo_used"]);
    // What costs nothing is not paid by hand.
    expect(said(await api.post(`${other.path}/purchases`, { ...order, provider: "manual" }))).toEqual([
      422,
      "nothing_to_pay",
    ]);
    expect((await api.post(`${other.path}/purchases`, order)).status).toBe(201);
    const late = await api.post(`${third.path}/purchases`, order);
    expect([late.status, late.body]).toMatchObject([409, { code: "promo_used_up", of: "code" }]);
    expect((await api.get(`/v1/promo_codes?code=${code}`)).body["data"]).toMatchObject([{ held: 0, redeemed: 2 }]);
  });
});

describe("by hand", () => {
  test("D2 what is quoted is confirmed once by its reference; what is bought is there; it is answered the same again", async ({
    api,
    plan,
    promo,
  }) => {
    const [code, promo_code] = [await plan({ access: true }), await promo({ percent: 10, per_workspace: 1 })];
    const workspace = await api.workspace();
    const client = await api.withKey(["billing:read", "billing:write"], workspace.id);
    const order = { plan: code, currency: "eur", provider: "manual", promo_code };
    const key = randomUUID();
    const started = await client.post(`${workspace.path}/purchases`, order, key);
    expect([started.status, started.body]).toMatchObject([
      201,
      {
        state: "pending",
        list_minor: 2000,
        discount_minor: 200,
        amount_minor: 1800,
        payment_id: null,
        subscription_id: null,
        available: null,
      },
    ]);
    const days = Date.parse(textOf(started, "expires_at")) - Date.parse(textOf(started, "created_at"));
    expect(days / 86_400_000).toBe(3);
    expect((await client.post(`${workspace.path}/purchases`, order, key)).body).toEqual(started.body);
    // While it is open, the same again is it, and another is refused with it; also from the balance.
    expect(idOf(await client.post(`${workspace.path}/purchases`, order))).toBe(idOf(started));
    for (const other of [
      { ...order, quantity: 2 },
      { plan: code, currency: "eur" },
    ]) {
      const refused = await client.post(`${workspace.path}/purchases`, other);
      expect([refused.status, refused.body]).toMatchObject([
        409,
        { code: "checkout_open", id: idOf(started), url: null },
      ]);
    }
    const path = `${workspace.path}/purchases/${idOf(started)}`;
    expect((await client.get(path)).body).toMatchObject({
      id: idOf(started),
      kind: "subscription",
      provider: "manual",
      state: "pending",
      plan: { code, version: 1 },
      promo_code,
      collection: "balance",
      amount_minor: 1800,
    });
    const money = { amount_minor: 1800, currency: "eur", reference: reference() };
    expect(said(await client.post(`${path}/payments`, money))).toEqual([403, "forbidden"]);
    const named = randomUUID();
    const paid = await api.post(`${path}/payments`, money, named);
    expect([paid.status, paid.body]).toMatchObject([
      201,
      { id: idOf(started), outcome: "paid", state: "paid", subscription_id: expect.any(String), available: 0 },
    ]);
    // Under its key, and under another: the reference is the same.
    const repeated = await api.post(`${path}/payments`, money, named);
    expect([repeated.status, repeated.body]).toEqual([201, paid.body]);
    const told = await api.post(`${path}/payments`, money);
    expect([told.status, told.body]).toEqual([201, paid.body]);
    expect(await payments(api, workspace)).toEqual([[1800, "eur", "counts"]]);
    expect((await client.get(`${workspace.path}/subscription`)).body).toMatchObject({ state: "active", period: 1 });
    expect((await client.get(`${workspace.path}/access_keys`)).body["data"]).toHaveLength(1);
    expect((await client.get(path)).body).toMatchObject({ state: "paid", payment_id: paid.body["payment_id"] });
    expect((await client.post(`${path}/cancel`)).body).toMatchObject({ state: "paid" });

    const other = await api.workspace();
    const theirs = await api.post(`${other.path}/purchases`, {
      topup_minor: 1800,
      currency: "eur",
      provider: "manual",
    });
    const used = await api.post(`${other.path}/purchases/${idOf(theirs)}/payments`, money);
    expect([used.status, used.body]).toMatchObject([422, { code: "reference_used", purchase_id: idOf(started) }]);
    const more = await api.post(`${path}/payments`, { ...money, amount_minor: 1801 });
    expect([more.status, more.body]).toMatchObject([422, { code: "reference_used", purchase_id: idOf(started) }]);
    const { data } = (await api.get("/v1/audit?limit=100")).body;
    const changes = Array.isArray(data) ? data.filter(({ subject }) => subject === `purchase:${idOf(started)}`) : [];
    expect(changes).toMatchObject([{ action: "purchase.confirm", detail: { outcome: "paid" } }]);
  });

  test("money that does not fit is kept under an alarm, and settled for its purchase or to the balance, once", async ({
    api,
    pack,
  }) => {
    const workspace = await api.workspace();
    const started = await api.post(`${workspace.path}/purchases`, {
      pack: await pack(),
      currency: "eur",
      provider: "manual",
    });
    const path = `${workspace.path}/purchases/${idOf(started)}`;
    const waiting: string[] = [];
    for (const [amount_minor, currency] of [
      [899, "eur"],
      [901, "eur"],
      [0, "eur"],
      [900, "usd"],
    ] as const) {
      const money = { amount_minor, currency, reference: reference() };
      const kept = await api.post(`${path}/payments`, money);
      expect([kept.status, kept.body]).toMatchObject([
        201,
        { outcome: "does_not_fit", state: "pending", amount_minor, currency, available: 0 },
      ]);
      expect((await api.post(`${path}/payments`, money)).body).toEqual(kept.body);
      waiting.push(textOf(kept, "payment_id"));
    }
    const [less, more, zero, dollars] = waiting;
    expect(await payments(api, workspace)).toEqual([
      [900, "usd", "waits"],
      [0, "eur", "waits"],
      [901, "eur", "waits"],
      [899, "eur", "waits"],
    ]);
    expect(await balance(api, workspace)).toEqual({});
    expect(await alarmsOf(api, started)).toMatchObject([{ code: "payment_does_not_fit", times: 4 }]);

    const settle = (payment: string | undefined, as: string, key?: string) =>
      api.post(`${workspace.path}/payments/${payment}/settle`, { as, reason: "agreed by phone" }, key);
    const key = randomUUID();
    const bought = await settle(less, "purchase", key);
    expect([bought.status, bought.body]).toMatchObject([
      201,
      { payment_id: less, settled_as: "purchase", purchase_id: idOf(started), state: "paid", amount_minor: 899 },
    ]);
    expect((await settle(less, "purchase", key)).body).toEqual(bought.body);
    expect((await api.get(workspace.credits)).body["available"]).toBe(100);
    expect(said(await settle(less, "balance"))).toEqual([409, "payment_settled"]);
    const second = await settle(more, "purchase");
    expect([second.status, second.body]).toMatchObject([409, { code: "purchase_paid", payment_id: less }]);
    expect((await settle(more, "balance")).body).toMatchObject({
      settled_as: "balance",
      state: "paid",
      available: 901,
    });
    expect((await settle(dollars, "balance")).body).toMatchObject({ currency: "usd", available: 900 });
    expect(await alarmsOf(api, started)).toHaveLength(1);
    expect((await settle(zero, "balance")).body).toMatchObject({ amount_minor: 0, available: 901 });
    expect(await alarmsOf(api, started)).toEqual([]);
    expect(await balance(api, workspace)).toEqual({ eur: 901, usd: 900 });
    expect((await api.get(workspace.credits)).body["available"]).toBe(100);
    for (const as of ["refund", "", null]) {
      expect((await api.post(`${workspace.path}/payments/${zero}/settle`, { as, reason: "x" })).status).toBe(400);
    }
    expect(said(await settle(randomUUID(), "balance"))).toEqual([404, "not_found"]);
  });

  test("money that does not fit and is refunded waits for nobody, and money for what is paid already waits", async ({
    api,
  }) => {
    const workspace = await api.workspace();
    const started = await api.post(`${workspace.path}/purchases`, {
      topup_minor: 1000,
      currency: "eur",
      provider: "manual",
    });
    const pay = (amount_minor: number) =>
      api.post(`${workspace.path}/purchases/${idOf(started)}/payments`, {
        amount_minor,
        currency: "eur",
        reference: reference(),
      });
    expect(said(await pay(1000))).toEqual([201, "paid"]);
    const twice = await pay(1000);
    expect([twice.status, twice.body]).toMatchObject([
      201,
      { outcome: "does_not_fit", state: "paid", available: 1000 },
    ]);
    expect(await alarmsOf(api, started)).toHaveLength(1);
    const refund = `${workspace.path}/payments/${textOf(twice, "payment_id")}/refund`;
    expect((await api.post(refund, { reason: "paid twice" })).body).toMatchObject({ refunded: 1000, available: 1000 });
    expect(await alarmsOf(api, started)).toEqual([]);
    expect(await payments(api, workspace)).toEqual([
      [1000, "eur", "counts"],
      [1000, "eur", "counts"],
    ]);
    expect(await balance(api, workspace)).toEqual({ eur: 1000 });
  });

  test("one is canceled without Stripe, and its promo code is another's; money that comes after it buys it all the same", async ({
    api,
    pack,
    promo,
  }) => {
    const [thing, promo_code] = [await pack(), await promo({ percent: 50, max_redemptions: 1 })];
    const [a, b] = [await api.workspace(), await api.workspace()];
    const order = { pack: thing, currency: "eur", provider: "manual", promo_code };
    const first = await api.post(`${a.path}/purchases`, order);
    const refused = await api.post(`${b.path}/purchases`, order);
    expect([refused.status, refused.body]).toMatchObject([409, { code: "promo_used_up", of: "code" }]);
    const client = await api.withKey(["billing:write"], a.id);
    for (const path of [b.path, `/v1/workspaces/${randomUUID()}`]) {
      expect(said(await client.post(`${path}/purchases/${idOf(first)}/cancel`))).toEqual([404, "not_found"]);
      expect(said(await api.post(`${path}/purchases/${idOf(first)}/cancel`))).toEqual([404, "not_found"]);
    }
    const canceled = await client.post(`${a.path}/purchases/${idOf(first)}/cancel`);
    expect([canceled.status, canceled.body]).toMatchObject([200, { state: "canceled", ended_at: expect.any(String) }]);
    expect((await client.post(`${a.path}/purchases/${idOf(first)}/cancel`)).body).toEqual(canceled.body);
    const money = { amount_minor: 450, currency: "eur", reference: reference() };
    const late = await api.post(`${a.path}/purchases/${idOf(first)}/payments`, money);
    expect([late.status, late.body]).toMatchObject([201, { outcome: "paid", state: "paid" }]);
    expect((await api.get(a.credits)).body["available"]).toBe(100);
    // The code is used now: b's was never begun, and a second of a's neither.
    expect(said(await api.post(`${b.path}/purchases`, order))).toEqual([409, "promo_used_up"]);
    expect((await api.get(`/v1/promo_codes?code=${promo_code}`)).body["data"]).toMatchObject([
      { held: 0, redeemed: 1 },
    ]);
  });

  test("one whose time is over expires, and its promo code is another's; a code that is gone leaves its money waiting", async ({
    api,
    db,
    pack,
    promo,
    world,
  }) => {
    const [thing, promo_code] = [
      await pack(),
      await promo({ amounts: [{ currency: "eur", amount_minor: 400 }], max_redemptions: 1 }),
    ];
    const [a, b] = [await api.workspace(), await api.workspace()];
    const order = { pack: thing, currency: "eur", provider: "manual", promo_code, expires_in: 300 };
    const first = await api.post(`${a.path}/purchases`, order);
    expect(first.body).toMatchObject({ amount_minor: 500 });
    await db.query("update ops.clock set clock_offset = clock_offset + interval '301 seconds'");
    await sweepOnly(db, world.worker, "purchases_expire");
    expect((await api.get(`${a.path}/purchases/${idOf(first)}`)).body).toMatchObject({ state: "expired" });
    expect((await api.post(`${b.path}/purchases`, order)).status).toBe(201);
    const money = { amount_minor: 500, currency: "eur", reference: reference() };
    const late = await api.post(`${a.path}/purchases/${idOf(first)}/payments`, money);
    expect(late.body).toMatchObject({ outcome: "does_not_fit", state: "expired" });
    expect(await alarmsOf(api, first)).toHaveLength(1);
    const settle = `${a.path}/payments/${textOf(late, "payment_id")}/settle`;
    expect(said(await api.post(settle, { as: "purchase", reason: "x" }))).toEqual([409, "promo_used_up"]);
    expect((await api.post(settle, { as: "balance", reason: "x" })).body).toMatchObject({ available: 500 });
    expect(await alarmsOf(api, first)).toEqual([]);
  });
});

test("a purchase or a payment of another workspace is none, whoever asks", async ({ api, pack }) => {
  const [own, other] = [await api.workspace(), await api.workspace()];
  const theirs = await api.post(`${other.path}/purchases`, { pack: await pack(), currency: "eur", provider: "manual" });
  const money = { amount_minor: 1, currency: "eur", reference: reference() };
  const kept = await api.post(`${other.path}/purchases/${idOf(theirs)}/payments`, money);
  const payment = textOf(kept, "payment_id");
  const client = await api.withKey(["billing:read", "billing:write"], own.id);
  const calls: [Api, string, string, object?][] = [
    [api, "GET", `${own.path}/purchases/${idOf(theirs)}`],
    [client, "GET", `${own.path}/purchases/${idOf(theirs)}`],
    [client, "GET", `${other.path}/purchases/${idOf(theirs)}`],
    [client, "POST", `${own.path}/purchases/${idOf(theirs)}/cancel`, {}],
    [client, "POST", `${other.path}/quotes`, { topup_minor: 5, currency: "eur" }],
    [api, "POST", `${own.path}/purchases/${idOf(theirs)}/payments`, { ...money, reference: reference() }],
    [api, "POST", `${own.path}/payments/${payment}/settle`, { as: "balance", reason: "x" }],
    [api, "POST", `${own.path}/payments/${payment}/refund`, { reason: "x" }],
  ];
  for (const [as, method, path, body] of calls) {
    const answer = await as.call(method, path, method === "GET" ? {} : { body, key: randomUUID() });
    expect([path, ...said(answer)]).toEqual([path, 404, "not_found"]);
  }
  expect((await api.get(`${other.path}/purchases/${idOf(theirs)}`)).body).toMatchObject({ state: "pending" });
  expect(await balance(api, own)).toEqual({});
  // What a balance or Stripe pays is not confirmed by hand.
  await topUp(api, own, 900);
  const bought = await api.post(`${own.path}/purchases`, { pack: await pack(), currency: "eur" });
  const confirm = `${own.path}/purchases/${idOf(bought)}/payments`;
  expect(said(await api.post(confirm, { ...money, reference: reference() }))).toEqual([404, "not_found"]);
});

test("money that came in no form that there is, is refused by its member, and nothing of it stays", async ({ api }) => {
  const workspace = await api.workspace();
  const body = { amount_minor: -1, currency: "eur", reference: reference() };
  const started = await api.post(`${workspace.path}/purchases`, {
    topup_minor: 5,
    currency: "eur",
    provider: "manual",
  });
  const path = `${workspace.path}/purchases/${idOf(started)}/payments`;
  for (const [wrong, pointer] of [
    [body, "/amount_minor"],
    [{ ...body, amount_minor: 1.5 }, "/amount_minor"],
    [{ ...body, amount_minor: 5, currency: "EUR" }, "/currency"],
    [{ ...body, amount_minor: 5, reference: "" }, "/reference"],
    [{ ...body, amount_minor: 5, reference: "a\nb" }, "/reference"],
    [{ ...body, amount_minor: 5, paid_at: "infinity" }, "/paid_at"],
  ] as const) {
    const answer = await api.post(path, wrong);
    expect([wrong, answer.status, answer.body["errors"]]).toMatchObject([wrong, 400, [{ pointer }]]);
  }
  const unnamed = await api.post(path, { ...body, amount_minor: 5 }, null);
  expect(said(unnamed)).toEqual([400, "idempotency_key_required"]);
  expect(await payments(api, workspace)).toEqual([]);
});

test("purchases are listed by kind and state, each once", async ({ api, pack, plan }) => {
  const workspace = await api.workspace();
  const [thing, period] = [await pack(), await plan()];
  await topUp(api, workspace, 900);
  const order = { currency: "eur", provider: "manual" };
  await api.post(`${workspace.path}/purchases`, { pack: thing, currency: "eur" });
  await api.post(`${workspace.path}/purchases`, { ...order, pack: thing });
  await api.post(`${workspace.path}/purchases`, { ...order, plan: period });
  const kinds = async (query: string) => {
    const { data } = (await api.get(`${workspace.path}/purchases?${query}`)).body;
    return Array.isArray(data) ? data.map((one) => [one.kind, one.provider, one.state]) : [];
  };
  expect(await kinds("")).toEqual([
    ["subscription", "manual", "pending"],
    ["credit_pack", "manual", "pending"],
    ["credit_pack", "balance", "paid"],
    ["balance_topup", "manual", "paid"],
  ]);
  expect(await kinds("kind=credit_pack")).toHaveLength(2);
  expect(await kinds("kind=credit_pack&state=pending")).toEqual([["credit_pack", "manual", "pending"]]);
  expect(await kinds("state=refunded")).toEqual([]);
});
