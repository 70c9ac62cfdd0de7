import { Stripe } from "stripe";
import { describe, expect } from "vitest";
import { idOf, textOf } from "../support/api.ts";
import { race } from "../support/barrier.ts";
import { places, test as inMarket } from "../support/market.ts";
import type { Market } from "../support/market.ts";
import { sweepOnly } from "../support/sweeping.ts";
import { idOf as intentOf } from "../world/stripe/ids.ts";

// What Stripe says and what is known here are held against each other, at Stripe in miniature.

const test = inMarket
  .extend(
    "sweep",
    ({ trade, db }) =>
      (...names: string[]) =>
        sweepOnly(db, trade.worker, ...names),
  )
  .extend("stripe", ({ trade }) => new Stripe("sk_test_market", trade.stripe.config))
  .extend("silence", { auto: true }, ({ trade }, { onCleanup }) => {
    onCleanup(() => {
      trade.stripe.deliveries = "automatic";
    });
    return () => {
      trade.stripe.deliveries = "dropped";
    };
  })
  .extend("alarms", ({ api }) => async (code: string) => {
    const { data } = (await api.get("/v1/alarms")).body;
    if (!Array.isArray(data)) throw new Error("no list of alarms");
    return data.filter((alarm) => alarm.code === code).map(({ subject }) => String(subject));
  })
  .extend("there", ({ db }) => async (workspace: string) => {
    const { rows } = await db.query<{ customer: string; subscription: string | null; id: string | null }>(
      `select c.provider_id as customer, s.provider_id as subscription, s.id
         from payments.customer c left join billing.subscription s on s.workspace_id = c.workspace_id and s.ended_at is null
        where c.workspace_id = $1`,
      [workspace],
    );
    const [row] = rows;
    if (row === undefined) throw new Error("it is nobody's customer");
    return { ...row, subscription: row.subscription ?? "" };
  });

const good = { failed: 0, more: false, error: null };

/** The checkout session that was made for a purchase. */
function sessionOf(market: Market, purchase: string): string {
  const found = [...market.stripe.state.sessions.values()].find((one) => one.client_reference_id === purchase);
  if (found === undefined) throw new Error(`nobody made a session for ${purchase}`);
  return found.id;
}

describe("subscriptions", () => {
  test("B2 one that changed at Stripe without a word is found to differ, fetched and written, once", async ({
    market,
    api,
    sweep,
    silence,
    stripe,
    there,
    db,
  }) => {
    const { path, id } = await market.subscriber(await market.plan());
    await sweep("stripe_syncs");
    silence();
    const { subscription } = await there(id);
    await stripe.subscriptions.update(subscription, { cancel_at_period_end: true });
    expect(await sweep("stripe_compare")).toMatchObject([{ ...good, processed: 1 }]);
    expect(await sweep("stripe_syncs")).toMatchObject([{ ...good, processed: 1 }]);
    expect((await api.get(`${path}/subscription`)).body["cancel_at"]).toMatch(/Z$/);
    const rows = () => db.query("select id, version from billing.subscription order by id");
    expect(await sweep("stripe_compare", "stripe_syncs")).toMatchObject([
      { processed: 0, ...good },
      { processed: 0, ...good },
    ]);
    const before = (await rows()).rows;
    await sweep("stripe_syncs");
    expect((await rows()).rows).toEqual(before);
  });

  test("B2 one that ended at Stripe without a word has ended here", async ({
    market,
    api,
    sweep,
    silence,
    stripe,
    there,
  }) => {
    const { path, id } = await market.subscriber(await market.plan());
    silence();
    await stripe.subscriptions.cancel((await there(id)).subscription);
    await sweep("stripe_compare");
    await sweep("stripe_syncs");
    expect((await api.get(`${path}/subscription`)).body).toMatchObject({ state: "canceled", read_only: true });
    // Those that have ended grow in number for ever: no pass reads them again.
    const lists = market.stripe.calls.filter((asked) => asked.method === "GET" && asked.path === "/v1/subscriptions");
    expect(lists.length).toBeGreaterThan(0);
    for (const { params } of lists) expect(params).not.toHaveProperty("status");
  });

  test("one of our customer's that nobody told us of is taken in", async ({
    market,
    api,
    sweep,
    silence,
    stripe,
    there,
    db,
  }) => {
    const plan = await market.plan();
    const { path, id } = await api.workspace();
    // A customer, by a pack that is not paid.
    await api.post(`${path}/checkout`, { pack: await market.pack(), currency: "eur", ...places });
    silence();
    const { rows } = await db.query<{ price: string }>(
      "select r.provider_id as price from billing.price r join billing.plan p on p.id = r.plan_id where p.code = $1",
      [plan],
    );
    const { customer } = await there(id);
    await stripe.subscriptions.create({ customer, items: [{ price: rows[0]?.price ?? "" }] });
    await sweep("stripe_compare");
    await sweep("stripe_syncs");
    expect((await api.get(`${path}/subscription`)).body).toMatchObject({ state: "active", plan: { code: plan } });
  });

  test("one that only one side knows is reported, from either side", async ({
    market,
    sweep,
    silence,
    stripe,
    there,
    alarms,
  }) => {
    const { id } = await market.subscriber(await market.plan());
    silence();
    const { subscription } = await there(id);
    const stranger = await stripe.customers.create();
    const { id: price } = await stripe.prices.create({
      currency: "eur",
      unit_amount: 1,
      recurring: { interval: "month" },
      product_data: { name: "Theirs" },
    });
    const unknown = await stripe.subscriptions.create({ customer: stranger.id, items: [{ price }] });
    market.stripe.state.subscriptions.delete(subscription);
    await sweep("stripe_compare");
    await sweep("stripe_syncs");
    expect(await alarms("subscription_unknown_here")).toContain(unknown.id);
    expect(await alarms("subscription_unknown_there")).toContain(subscription);
    await stripe.subscriptions.cancel(unknown.id);
  });

  test("D22 more than a page of them is fetched by several ticks at once, each once", async ({ market, sweep, db }) => {
    await sweep("stripe_syncs");
    await db.query(
      `insert into billing.subscription (id, workspace_id, collection, provider_id, quantity, state, sync_due_at, created_at)
       select uuidv7(), (people.create_workspace(name => 'Acme', caused_by => 'test')).id, 'stripe', 'sub_none_' || i, 1,
              'active', ops.now(), ops.now() from generate_series(1, 120) i`,
    );
    market.stripe.calls.length = 0;
    await race(3, () => sweep("stripe_syncs"));
    const asked = market.stripe.calls.map(({ path }) => path).filter((path) => path.includes("sub_none_"));
    expect(asked).toHaveLength(120);
    expect(new Set(asked).size).toBe(120);
    await db.query("delete from billing.subscription where provider_id like 'sub_none_%'");
  });
});

describe("customers", () => {
  test("one that was deleted at Stripe without a word is deleted here, and a stranger is reported", async ({
    market,
    api,
    sweep,
    silence,
    stripe,
    alarms,
    db,
  }) => {
    const bought = async () => {
      const { path, id } = await api.workspace();
      await api.post(`${path}/checkout`, { pack: await market.pack(), currency: "eur", ...places });
      const { rows } = await db.query("select provider_id from payments.customer where workspace_id = $1", [id]);
      return { id, customer: String(rows[0].provider_id) };
    };
    const [deleted, unknown, living] = [await bought(), await bought(), await bought()];
    silence();
    await stripe.customers.del(deleted.customer);
    market.stripe.state.customers.delete(unknown.customer);
    expect(await sweep("stripe_customers")).toMatchObject([good]);
    const { rows } = await db.query(
      "select workspace_id as id, deleted_at is not null as deleted from payments.customer where workspace_id = any($1)",
      [[deleted.id, unknown.id, living.id]],
    );
    const found = new Map(rows.map((row) => [row.id, row.deleted]));
    expect([deleted, unknown, living].map(({ id }) => found.get(id))).toEqual([true, false, false]);
    expect(await alarms("customer_unknown_there")).toContain(unknown.customer);
    expect(await sweep("stripe_customers")).toMatchObject([good]);
  });
});

describe("purchases", () => {
  test.for(["paid", "expired", "open"] as const)(
    "one whose session is %s is asked for, and stands as it does",
    async (end, { market, api, sweep, silence, stripe, db }) => {
      const { path, credits } = await api.workspace();
      const pack = await market.pack();
      const purchase = idOf(await api.post(`${path}/checkout`, { pack, currency: "eur", ...places }));
      silence();
      if (end === "paid") market.stripe.pay(sessionOf(market, purchase));
      if (end === "expired") await stripe.checkout.sessions.expire(sessionOf(market, purchase));
      await db.query("update payments.purchase set check_due_at = ops.now() where id = $1", [purchase]);
      expect(await sweep("stripe_checks")).toMatchObject([{ processed: 1, ...good }]);
      const { data } = (await api.get(`${path}/purchases`)).body;
      expect(data).toMatchObject([{ id: purchase, state: end === "open" ? "pending" : end }]);
      expect((await api.get(credits)).body["available"]).toBe(end === "paid" ? 100 : 0);
    },
  );

  test("one whose session was made and not written down is found by its name", async ({
    market,
    api,
    sweep,
    silence,
    db,
  }) => {
    const { path, credits } = await api.workspace();
    const pack = await market.pack();
    const purchase = idOf(await api.post(`${path}/checkout`, { pack, currency: "eur", ...places }));
    silence();
    market.stripe.pay(sessionOf(market, purchase));
    await db.query(
      "update payments.purchase set provider_id = null, url = null, leased_until = null, check_due_at = ops.now() where id = $1",
      [purchase],
    );
    await sweep("stripe_checks");
    expect((await api.get(`${path}/purchases`)).body["data"]).toMatchObject([{ state: "paid" }]);
    expect((await api.get(credits)).body["available"]).toBe(100);
  });

  test("one whose session was never made is over", async ({ market, api, sweep, db }) => {
    const { path } = await api.workspace();
    const pack = await market.pack();
    const purchase = idOf(await api.post(`${path}/checkout`, { pack, currency: "eur", ...places }));
    market.stripe.state.sessions.delete(sessionOf(market, purchase));
    await db.query(
      "update payments.purchase set provider_id = null, url = null, leased_until = null, check_due_at = ops.now() where id = $1",
      [purchase],
    );
    await sweep("stripe_checks");
    expect((await api.get(`${path}/purchases`)).body["data"]).toMatchObject([{ state: "expired" }]);
  });
});

test("refunds and disputes that nobody told of are fetched with their payment", async ({
  market,
  api,
  sweep,
  silence,
  stripe,
  db,
}) => {
  const { path, credits } = await api.workspace();
  const purchase = await api.post(`${path}/checkout`, { pack: await market.pack(), currency: "eur", ...places });
  await market.pay(purchase);
  const session = market.stripe.state.sessions.get(sessionOf(market, textOf(purchase, "id")));
  const payment_intent = intentOf(session?.payment_intent ?? null) ?? "";
  silence();
  await stripe.refunds.create({ payment_intent, amount: 450 });
  await db.query("update payments.intent set link_due_at = ops.now() where id = $1", [payment_intent]);
  expect(await sweep("stripe_links")).toMatchObject([{ processed: 1, ...good }]);
  expect((await api.get(credits)).body["available"]).toBe(50);
  expect((await api.get(`${path}/payments`)).body["data"]).toMatchObject([{ refunded: 450 }]);
  expect(await sweep("stripe_links")).toMatchObject([{ processed: 0, ...good }]);
});
