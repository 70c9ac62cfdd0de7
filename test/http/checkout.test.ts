import { randomUUID } from "node:crypto";
import { Stripe } from "stripe";
import { describe, expect } from "vitest";
import { Api, idOf, textOf, type Workspace } from "../support/api.ts";
import { places, test, type Market } from "../support/market.ts";

test("A5 a checkout of packs: a person pays, and the credits are there, pack by pack", async ({ market, api }) => {
  const { path, credits } = await api.workspace();
  for (const [quantity, sum] of [
    [50, 50],
    [100, 150],
    [250, 400],
  ] as const) {
    const pack = await market.pack({ quantity });
    const bought = await api.post(`${path}/checkout`, { pack, currency: "eur", ...places });
    expect([bought.status, bought.body]).toEqual([
      201,
      {
        id: expect.any(String),
        kind: "credit_pack",
        state: "pending",
        url: expect.stringMatching(/^http/),
        quantity: 1,
        expires_at: expect.stringMatching(/Z$/),
        created_at: expect.stringMatching(/Z$/),
      },
    ]);
    expect((await api.get(credits)).body["available"]).toBe(sum - quantity);
    await market.pay(bought);
    expect((await api.get(credits)).body).toMatchObject({
      available: sum,
      pools: [{ pool: "bulk", available: sum, expires_at: null }],
    });
  }
  const purchases = await api.get(`${path}/purchases`);
  expect(purchases.body["data"]).toMatchObject(
    Array.from({ length: 3 }, () => ({ state: "paid", url: null, plan: null, amount_minor: 900, currency: "eur" })),
  );
  const payments = await api.get(`${path}/payments?limit=2`);
  expect(payments.body).toMatchObject({
    data: [
      { amount_minor: 900, refunded: 0, disputed: 0, provider: "stripe", subscription_id: null },
      { amount_minor: 900 },
    ],
    next_cursor: expect.any(String),
  });
});

test("a checkout of a plan: a person pays, and is subscribed", async ({ market, api }) => {
  const plan = await market.plan({ included_credits: 20, seats: 3 });
  const { path, credits } = await api.workspace({ bulk: 50 });
  const bought = await api.post(`${path}/checkout`, { plan, quantity: 2, currency: "eur", ...places });
  await market.pay(bought);
  expect((await api.get(`${path}/subscription`)).body).toMatchObject({
    state: "active",
    plan: { code: plan, version: 1 },
    price: { currency: "eur", amount_minor: 1900, interval: "month", interval_count: 1 },
    quantity: 2,
    read_only: false,
  });
  expect((await api.get(credits)).body).toMatchObject({
    available: 70,
    pools: [
      { pool: "subscription", available: 20 },
      { pool: "bulk", available: 50 },
    ],
  });
  const again = await api.post(`${path}/checkout`, { plan, currency: "eur", ...places });
  expect([again.status, again.body]).toMatchObject([409, { code: "subscription_exists", state: "active" }]);
});

describe("what has no price of its own at Stripe", () => {
  const stripeOf = (market: Market) => new Stripe("sk_test_market", { ...market.stripe.config, maxNetworkRetries: 0 });
  const priced = test.extend("ordered", ({ market, api }) =>
    async (order: object, workspace?: Workspace) => {
      const of = workspace ?? (await api.workspace());
      const bought = await api.post(`${of.path}/checkout`, { currency: "eur", ...order, ...places });
      const session = [...market.stripe.state.sessions.values()].find(
        ({ client_reference_id }) => client_reference_id === bought.body["id"],
      );
      const { data } =
        session === undefined ? { data: [] } : await stripeOf(market).checkout.sessions.listLineItems(session.id);
      const [line] = data;
      return {
        ...of,
        bought,
        session: session?.id ?? "",
        line: { mode: session?.mode, total: session?.amount_total, name: line?.description, quantity: line?.quantity },
        purchase: async () => (await api.get(`${of.path}/purchases/${idOf(bought)}`)).body,
      };
    });
  const promo = async (api: Api, wish: object) => {
    const code = `CODE-${randomUUID()}`.slice(0, 40).toUpperCase();
    expect((await api.post("/v1/promo_codes", { code, ...wish })).status).toBe(201);
    return code;
  };

  priced(
    "D1 a discounted pack is one line of what it comes to; its credits are all there, its code is used",
    async ({ market, api, ordered }) => {
      const [pack, code] = [await market.pack(), await promo(api, { percent: 15, max_redemptions: 1 })];
      const { line, bought, purchase, credits } = await ordered({ pack, quantity: 3, promo_code: code.toLowerCase() });
      // 27 € less 4.05 €.
      expect(line).toEqual({ mode: "payment", total: 2295, name: `Pack ${pack}`, quantity: 1 });
      expect(await purchase()).toMatchObject({
        state: "pending",
        list_minor: 2700,
        discount_minor: 405,
        amount_minor: 2295,
        promo_code: code,
      });
      const late = await ordered({ pack, promo_code: code });
      expect([late.bought.status, late.bought.body]).toMatchObject([409, { code: "promo_used_up", of: "code" }]);
      await market.pay(bought);
      expect(await purchase()).toMatchObject({ state: "paid", payment_id: expect.any(String) });
      expect((await api.get(credits)).body["available"]).toBe(300);
      expect((await api.get(`/v1/promo_codes?code=${code}`)).body["data"]).toMatchObject([{ held: 0, redeemed: 1 }]);
    },
  );

  priced(
    "D1 a discounted top-up costs less, and the balance has all that was listed",
    async ({ market, api, ordered }) => {
      const code = await promo(api, { amounts: [{ currency: "eur", amount_minor: 500 }], kinds: ["balance_topup"] });
      const { line, bought, path } = await ordered({ topup_minor: 2500, promo_code: code });
      expect(line).toEqual({ mode: "payment", total: 2000, name: "Balance", quantity: 1 });
      await market.pay(bought);
      expect((await api.get(`${path}/balance`)).body["data"]).toMatchObject([{ currency: "eur", available: 2500 }]);
      expect((await api.get(`${path}/payments`)).body["data"]).toMatchObject([{ amount_minor: 2000, currency: "eur" }]);
      expect((await api.get(`${path}/balance/transactions?currency=eur`)).body["data"]).toMatchObject([
        {
          entries: [
            { side: "payments", amount: -2000 },
            { side: "promo", amount: -500 },
            { side: "available", amount: 2500 },
          ],
        },
      ]);
    },
  );

  priced(
    "D2 one period of a plan is paid once, and its subscription goes on from the balance",
    async ({ market, api, ordered }) => {
      const plan = await market.plan({ included_credits: 20, trial_days: 14 });
      const order = { plan, collection: "balance", auto_renew: true, promo_code: await promo(api, { percent: 10 }) };
      const { line, bought, path, credits, ...of } = await ordered(order);
      // 19 € less 1.90 €, and no trial.
      expect(line).toEqual({ mode: "payment", total: 1710, name: `Plan ${plan}`, quantity: 1 });
      expect(idOf((await ordered(order, { path, credits, ...of })).bought)).toBe(idOf(bought));
      await market.pay(bought);
      const subscription = (await api.get(`${path}/subscription`)).body;
      expect(subscription).toMatchObject({
        state: "active",
        collection: "balance",
        plan: { code: plan },
        price: { amount_minor: 1900 },
        period: 1,
        trial_end: null,
        auto_renew: true,
      });
      expect(await of.purchase()).toMatchObject({ state: "paid", subscription_id: subscription["id"] });
      expect((await api.get(credits)).body["available"]).toBe(20);
      expect(
        [...market.stripe.state.subscriptions.values()].map(({ metadata }) => metadata["tollgate_purchase"]),
      ).not.toContain(idOf(bought));
    },
  );

  priced(
    "one whose session expires gives its promo code back, and so does one that is canceled",
    async ({ market, api, ordered }) => {
      const [pack, code] = [await market.pack(), await promo(api, { percent: 15, max_redemptions: 1 })];
      const held = async () => {
        const { data } = (await api.get(`/v1/promo_codes?code=${code}`)).body;
        return Array.isArray(data) ? [data[0].held, data[0].redeemed] : [];
      };
      const first = await ordered({ pack, promo_code: code });
      expect(await held()).toEqual([1, 0]);
      await stripeOf(market).checkout.sessions.expire(first.session);
      await market.stripe.settled();
      expect(await first.purchase()).toMatchObject({ state: "expired", url: null });
      expect(await held()).toEqual([0, 0]);

      const second = await ordered({ pack, promo_code: code });
      expect(await held()).toEqual([1, 0]);
      expect((await api.post(`${second.path}/purchases/${idOf(second.bought)}/cancel`)).body).toMatchObject({
        state: "canceled",
      });
      expect(await held()).toEqual([0, 0]);
    },
  );

  priced(
    "a promo code is not for what Stripe collects, and what it makes free is not paid there",
    async ({ market, api, ordered }) => {
      const [plan, pack, code] = [await market.plan(), await market.pack(), await promo(api, { percent: 100 })];
      for (const [order, status, refusal] of [
        [{ plan, promo_code: code }, 422, "promo_not_for_this"],
        [{ plan, promo_code: code, collection: "balance" }, 422, "nothing_to_pay"],
        [{ pack, promo_code: code }, 422, "nothing_to_pay"],
        [{ pack, promo_code: "NOBODY" }, 422, "promo_unknown"],
        [{ plan, auto_renew: true }, 400, "validation_failed"],
        [{ pack, collection: "balance" }, 400, "validation_failed"],
      ] as const) {
        const { bought } = await ordered(order);
        expect([order, bought.status, bought.body["code"]]).toEqual([order, status, refusal]);
      }
      expect((await api.get(`/v1/promo_codes?code=${code}`)).body["data"]).toMatchObject([{ held: 0, redeemed: 0 }]);
    },
  );
});

test("while a checkout of a plan is open, a second is the same one, and another plan's is refused with it", async ({
  market,
  api,
}) => {
  const [plan, other] = [await market.plan(), await market.plan()];
  const { path } = await api.workspace();
  const first = await api.post(`${path}/checkout`, { plan, currency: "eur", ...places });
  const second = await api.post(`${path}/checkout`, { plan, currency: "eur", ...places });
  expect(second.body).toEqual(first.body);
  expect(second.headers.get("Idempotent-Replayed")).toBeNull();
  const refused = await api.post(`${path}/checkout`, { plan: other, currency: "eur", ...places });
  expect([refused.status, refused.body]).toMatchObject([
    409,
    { code: "checkout_open", id: idOf(first), url: first.body["url"] },
  ]);
  // A pack stands in nobody's way.
  const pack = await market.pack();
  expect((await api.post(`${path}/checkout`, { pack, currency: "eur", ...places })).status).toBe(201);

  const canceled = await api.post(`${path}/purchases/${idOf(first)}/cancel`);
  expect([canceled.status, canceled.body]).toMatchObject([200, { id: idOf(first), state: "canceled", url: null }]);
  expect((await api.post(`${path}/purchases/${idOf(first)}/cancel`)).body).toEqual(canceled.body);
  expect((await api.post(`${path}/checkout`, { plan: other, currency: "eur", ...places })).status).toBe(201);
});

test("a repeat with its key is the same checkout, and what became of it; its body is bound to it", async ({
  market,
  api,
}) => {
  const pack = await market.pack();
  const { path } = await api.workspace();
  const key = randomUUID();
  const body = { pack, currency: "eur", ...places };
  const first = await api.post(`${path}/checkout`, body, key);
  const again = await api.post(`${path}/checkout`, body, key);
  expect([again.status, again.body]).toEqual([201, first.body]);
  expect(again.headers.get("Idempotent-Replayed")).toBe("true");
  expect((await api.post(`${path}/checkout`, { ...body, quantity: 2 }, key)).body).toMatchObject({
    code: "idempotency_key_reused",
  });
  await market.pay(first);
  expect((await api.post(`${path}/checkout`, body, key)).body).toMatchObject({
    id: idOf(first),
    state: "paid",
    url: null,
  });
  expect((await api.post(`${path}/checkout`, body, null)).body).toMatchObject({ code: "idempotency_key_required" });
});

test("Stripe is asked with keys of ours, and told the purchase and nothing that may change", async ({
  market,
  api,
}) => {
  const plan = await market.plan({ trial_days: 14 });
  const { id, path } = await api.workspace();
  market.stripe.calls.length = 0;
  const bought = await api.post(`${path}/checkout`, { plan, quantity: 3, currency: "eur", ...places });
  const posts = market.stripe.calls.filter(({ method }) => method === "POST");
  expect(posts.map(({ path: at, idempotencyKey }) => [at, idempotencyKey])).toEqual([
    ["/v1/customers", `tollgate:customer:${id}:1`],
    ["/v1/checkout/sessions", `tollgate:checkout:${idOf(bought)}`],
  ]);
  const session = [...market.stripe.state.sessions.values()].find(
    ({ client_reference_id }) => client_reference_id === idOf(bought),
  );
  expect(session).toMatchObject({
    mode: "subscription",
    metadata: { tollgate_purchase: idOf(bought) },
    success_url: places.success_url,
    cancel_url: places.cancel_url,
  });
  // A session cannot be paid for longer than our row says.
  expect(new Date(textOf(bought, "expires_at")).getTime()).toBe((session?.expires_at ?? 0) * 1000);
});

test.for<[string, Record<string, unknown>, number, string]>([
  ["a plan that nobody made", { plan: "nothing" }, 422, "plan_unknown"],
  ["a pack that nobody made", { pack: "nothing" }, 422, "pack_unknown"],
  ["a currency in which it is not sold", { plan: "known", currency: "usd" }, 422, "price_unknown"],
  ["an interval in which it is not sold", { plan: "known", interval: "year" }, 422, "price_unknown"],
  ["a version that is not there", { plan: "known", version: 2 }, 422, "plan_unknown"],
  ["a plan and a pack", { plan: "known", pack: "known" }, 400, "validation_failed"],
  ["neither", {}, 400, "validation_failed"],
  ["a pack by the month", { pack: "known", interval: "month" }, 400, "validation_failed"],
  ["none of it", { plan: "known", quantity: 0 }, 400, "validation_failed"],
])("a checkout of %s is refused by name, and nothing is begun", async ([, wish, status, code], { market, api, db }) => {
  const found = await db.query("select from billing.plan where code = 'known'");
  if (found.rowCount === 0) await market.plan({ code: "known" });
  const { id, path } = await api.workspace();
  const answer = await api.post(`${path}/checkout`, { currency: "eur", ...places, ...wish });
  expect([answer.status, answer.body["code"]]).toEqual([status, code]);
  const begun = await db.query("select from payments.purchase where workspace_id = $1", [id]);
  expect(begun.rowCount).toBe(0);
});

test("what is not published yet cannot be bought, and is named", async ({ api }) => {
  const price = { currency: "eur", interval: "month", amount_minor: 1 };
  await api.post("/v1/plans", { code: "unpublished", name: "x", included_credits: 1, prices: [price] });
  const { path } = await api.workspace();
  const answer = await api.post(`${path}/checkout`, { plan: "unpublished", currency: "eur", ...places });
  expect([answer.status, answer.body["code"]]).toEqual([409, "price_not_published"]);
});

test.for([
  ["another origin", "https://evil.example/thanks"],
  ["plain http", "http://app.example.com/thanks"],
  ["another port", "https://app.example.com:8443/thanks"],
  ["a longer host", "https://app.example.com.evil.example/"],
  ["a host before a backslash", "https://app.example.com\\@evil.example/"],
  ["a user in it", "https://me@app.example.com/"],
  ["a password in it", "https://me:secret@app.example.com/"],
  ["a line's end in it", "https://app.example.com/\nhttps://evil.example/"],
  ["a script", "javascript:alert(1)"],
  ["no scheme", "//app.example.com/"],
  ["too many characters", `https://app.example.com/${"x".repeat(2000)}`],
])("a way back with %s is refused, and the member is named", async ([, url], { market, api }) => {
  const pack = await market.pack();
  const { path } = await api.workspace();
  for (const member of ["success_url", "cancel_url"]) {
    const answer = await api.post(`${path}/checkout`, { pack, currency: "eur", ...places, [member]: url });
    expect([answer.status, answer.body]).toMatchObject([
      422,
      { code: "url_not_allowed", errors: [{ in: "body", pointer: `/${member}`, code: "url_not_allowed" }] },
    ]);
  }
});

test("a way back to this machine is allowed where the deployment says so", async ({ market, api }) => {
  const pack = await market.pack();
  const { path } = await api.workspace();
  const local = { success_url: "http://localhost:3000/ok", cancel_url: "http://localhost:3000/no" };
  expect((await api.post(`${path}/checkout`, { pack, currency: "eur", ...local })).status).toBe(201);
  const other = { ...local, cancel_url: "http://localhost:3001/no" };
  expect((await api.post(`${path}/checkout`, { pack, currency: "eur", ...other })).status).toBe(422);
});

test("a workspace's key buys for its own workspace, and for no other", async ({ market, api }) => {
  const pack = await market.pack();
  const [own, other] = [await api.workspace(), await api.workspace()];
  const client = await api.withKey(["billing:write"], own.id);
  const bought = await client.post(`${own.path}/checkout`, { pack, currency: "eur", ...places });
  expect(bought.status).toBe(201);
  for (const path of [other.path, `/v1/workspaces/${randomUUID()}`]) {
    const refused = await client.post(`${path}/checkout`, { pack, currency: "eur", ...places });
    expect([refused.status, refused.body["code"]]).toEqual([404, "not_found"]);
  }
  const reader = await api.withKey(["billing:read"], own.id);
  // The key's refusal comes before any other.
  const nowhere = { ...places, success_url: "https://evil.example/" };
  expect((await reader.post(`${own.path}/checkout`, { pack, currency: "eur", ...nowhere })).body).toMatchObject({
    code: "forbidden",
    scope: "billing:write",
  });
  expect((await client.post(`${other.path}/purchases/${idOf(bought)}/cancel`)).status).toBe(404);
  expect((await api.post(`${other.path}/purchases/${idOf(bought)}/cancel`)).status).toBe(404);
});

test("what Stripe refuses is told in its words, and ends the purchase: the next one is another", async ({
  market,
  api,
}) => {
  const [plan, other] = [await market.plan(), await market.plan()];
  const price = [...market.stripe.state.prices.values()].find(({ lookup_key }) => lookup_key?.includes(`_${plan}_`));
  if (price === undefined) throw new Error("no price");
  price.active = false;
  const { path } = await api.workspace();
  const refused = await api.post(`${path}/checkout`, { plan, currency: "eur", ...places });
  expect([refused.status, refused.body]).toMatchObject([
    422,
    { code: "provider_refused", detail: expect.stringMatching(/inactive|not active|archived/) },
  ]);
  expect((await api.get(`${path}/purchases`)).body).toMatchObject({ data: [{ state: "canceled", url: null }] });
  expect((await api.post(`${path}/checkout`, { plan: other, currency: "eur", ...places })).status).toBe(201);
});

test("who waits for a customer that somebody else is making, and never does, is told to come again", async ({
  market,
  api,
  db,
}) => {
  const pack = await market.pack();
  const { id, path } = await api.workspace();
  await db.query(
    `insert into payments.customer (workspace_id, provider, number, lease_token, leased_until, claimed_at)
     values ($1, 'stripe', 1, gen_random_uuid(), ops.now() + interval '30 seconds', ops.now())`,
    [id],
  );
  market.stripe.calls.length = 0;
  const waited = await api.post(`${path}/checkout`, { pack, currency: "eur", ...places });
  expect([waited.status, waited.body]).toMatchObject([503, { code: "provider_unavailable", retry_after: 5 }]);
  expect(market.stripe.calls).toEqual([]);
});

test("a frozen workspace buys, spends and holds nothing until it is let go; what is held may end", async ({
  market,
  api,
}) => {
  const pack = await market.pack();
  const { path, credits } = await api.workspace({ bulk: 10 });
  const held = await api.post(`${credits}/holds`, { amount: 2, expires_in: 60 });
  const frozen = await api.post(`${path}/freeze`, { reason: "fraud" });
  expect([frozen.status, frozen.body]).toMatchObject([200, { frozen_reason: "fraud" }]);
  expect((await api.post(`${path}/freeze`, { reason: "other" })).body).toEqual(frozen.body);
  expect((await api.get(path)).body["frozen_at"]).toBe(frozen.body["frozen_at"]);
  const writes = [
    await api.post(`${path}/checkout`, { pack, currency: "eur", ...places }),
    await api.post(`${credits}/spend`, { amount: 1 }),
    await api.post(`${credits}/spend/batch`, { items: [{ key: "a", amount: 1 }] }),
    await api.post(`${credits}/holds`, { amount: 1, expires_in: 60 }),
  ];
  for (const { status, body } of writes) {
    expect([status, body]).toMatchObject([403, { code: "workspace_frozen", reason: "fraud" }]);
  }
  expect((await api.post(`${credits}/holds/${idOf(held)}/settle`, {})).status).toBe(200);
  expect((await api.post(`${path}/unfreeze`)).body).toMatchObject({ frozen_at: null, frozen_reason: null });
  expect((await api.post(`${credits}/spend`, { amount: 1 })).status).toBe(200);
});

test("without Stripe's key a checkout says that the deployment is misconfigured, to who may ask", async ({
  world,
  api,
}) => {
  const { url } = await world.another({ CHECKOUT_ORIGINS: new URL(places.cancel_url).origin });
  const { path } = await api.workspace();
  const without = new Api(url, api.apiKey);
  const answer = await without.post(`${path}/portal`, { return_url: places.cancel_url });
  expect([answer.status, answer.body["code"]]).toEqual([500, "misconfigured"]);
  const stranger = without.as(`tg_${"x".repeat(43)}`);
  expect((await stranger.post(`${path}/portal`, { return_url: places.cancel_url })).status).toBe(401);
});
