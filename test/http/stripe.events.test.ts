import { Stripe } from "stripe";
import { afterEach, describe, expect } from "vitest";
import { places, test as inMarket } from "../support/market.ts";
import type { Market } from "../support/market.ts";
import { race } from "../support/barrier.ts";
import { dueAgain, sweepOnly } from "../support/sweeping.ts";

// What no delivery brought, and what a delivery could not say: looked for and fetched at Stripe in miniature.

const test = inMarket.extend(
  "sweep",
  ({ market, db }) =>
    (...names: string[]) =>
      sweepOnly(db, market.worker, ...names),
);

let open: Market | null = null;
afterEach(() => {
  if (open !== null) open.stripe.deliveries = "automatic";
});

/** Nothing is delivered until the test's end. */
function silence(market: Market): void {
  open = market;
  market.stripe.deliveries = "dropped";
}

/** A workspace that bought a pack of 100, whatever was delivered. */
async function bought(market: Market) {
  const { api } = market;
  const workspace = await api.workspace();
  const pack = await market.pack();
  await market.pay(await api.post(`${workspace.path}/checkout`, { pack, currency: "eur", ...places }));
  return { ...workspace, available: async () => (await api.get(workspace.credits)).body["available"] };
}

describe("what was never delivered", () => {
  test("A1 is found in Stripe's list and has its effect once, however often it is looked for and delivered", async ({
    market,
    sweep,
    db,
  }) => {
    await sweep("stripe_events");
    silence(market);
    const buyers = [await bought(market), await bought(market)];
    for (const { available } of buyers) expect(await available()).toBe(0);
    const [run] = await sweep("stripe_events");
    expect(run).toMatchObject({ failed: 0, more: false, error: null });
    expect(run?.processed).toBeGreaterThanOrEqual(2);
    for (const { available } of buyers) expect(await available()).toBe(100);
    const rows = () => db.query("select id, state, version from ops.event order by id");
    const before = (await rows()).rows;
    expect(await sweep("stripe_events")).toMatchObject([{ processed: 0, failed: 0, error: null }]);
    for (const event of market.stripe.events("checkout.session.completed")) await market.stripe.deliver(event);
    expect((await rows()).rows).toEqual(before);
    for (const { available } of buyers) expect(await available()).toBe(100);
  });

  test("is found behind pages of what concerns nobody, and by several at once", async ({ market, sweep, db }) => {
    await sweep("stripe_events");
    silence(market);
    const stripe = new Stripe("sk_test_market", market.stripe.config);
    const buyer = await bought(market);
    for (let i = 0; i < 120; i += 1) await stripe.products.create({ name: `Thing ${i}` });
    const another = await bought(market);
    for (let i = 0; i < 120; i += 1) await stripe.products.create({ name: `Thing ${i}` });
    await dueAgain(db, ["stripe_events"]);
    await race(3, () => market.worker.tick());
    // Whichever of them had it.
    const { rows: runs } = await db.query(
      "select failed, more, error from ops.sweep_run where name = 'stripe_events' order by started_at desc limit 1",
    );
    expect(runs).toEqual([{ failed: 0, more: false, error: null }]);
    expect([await buyer.available(), await another.available()]).toEqual([100, 100]);
    const { rows } = await db.query("select type from ops.event where type like 'product%'");
    expect(rows).toEqual([]);
  });

  test("is found though Stripe has forgotten where the last run had come to", async ({ market, sweep, db }) => {
    silence(market);
    const buyer = await bought(market);
    await db.query("update ops.cursor set position = 'evt_forgotten', until = ops.now() where name = 'stripe_events'");
    expect(await sweep("stripe_events")).toMatchObject([{ failed: 0, more: false, error: null }]);
    expect(await buyer.available()).toBe(100);
  });

  test("is found a run later when Stripe is away: the run says so, an alarm is open, and nothing is lost", async ({
    market,
    sweep,
    api,
  }) => {
    silence(market);
    const buyer = await bought(market);
    market.stripe.faults.next({ kind: "500", times: 2, match: "GET /v1/events" });
    const [failed] = await sweep("stripe_events");
    expect(failed?.error).toContain("provider_unavailable");
    expect(failed?.error).not.toContain("sk_test_market");
    const alarms = async () => (await api.get("/v1/alarms")).body["data"];
    expect(await alarms()).toContainEqual(expect.objectContaining({ code: "sweep_failed", subject: "stripe_events" }));
    expect(await buyer.available()).toBe(0);
    expect(await sweep("stripe_events")).toMatchObject([{ error: null }]);
    expect(await buyer.available()).toBe(100);
    expect(await alarms()).not.toContainEqual(expect.objectContaining({ code: "sweep_failed" }));
  });
});

describe("what a delivery could not say", () => {
  /** Delivers an event as another endpoint would: changed, and signed. */
  async function deliver(market: Market, event: object) {
    const body = JSON.stringify(event);
    const headers = { "Stripe-Signature": market.stripe.sign(body, { secret: "whsec_market" }) };
    const answer = await fetch(`${market.worker.url}/webhooks/stripe`, { method: "POST", body, headers });
    const read: unknown = await answer.json();
    return read;
  }

  const cases: [what: string, change: (event: Stripe.Event) => object][] = [
    ["in another version of the API", (event) => ({ ...event, api_version: "2019-01-01" })],
    [
      "with its line behind the ten that are embedded",
      (event) => ({
        ...event,
        data: { object: { ...event.data.object, lines: { object: "list", data: [], has_more: true } } },
      }),
    ],
  ];

  test.for(cases)("%s is fetched, and has its effect", async ([, change], { market, api, sweep, db }) => {
    silence(market);
    const { path, credits } = await api.workspace();
    const plan = await market.plan({ included_credits: 20 });
    await market.pay(await api.post(`${path}/checkout`, { plan, currency: "eur", ...places }));
    const paid = market.stripe.events("invoice.paid").at(-1);
    if (paid === undefined) throw new Error("nothing was paid");
    expect(await deliver(market, change(paid))).toEqual({ received: true, state: "fetching", duplicate: false });
    expect(await sweep("stripe_fetches")).toMatchObject([{ failed: 0, error: null }]);
    const { rows } = await db.query(
      "select state, fact ->> 'price' is not null as priced from ops.event where id = $1",
      [paid.id],
    );
    expect(rows).toMatchObject([{ priced: true }]);
    // The subscription, too, was only heard of: it is asked for.
    await sweep("stripe_syncs", "events_retry");
    await sweep("stripe_syncs", "events_retry");
    expect((await api.get(credits)).body["available"]).toBe(20);
  });

  test("and that is gone at Stripe concerns nobody any more", async ({ market, sweep, db }) => {
    const object = { id: "in_gone", object: "invoice" };
    const event = { object: "event", type: "invoice.paid", api_version: "2019-01-01", created: 1, livemode: false };
    await deliver(market, { ...event, id: "evt_of_what_is_gone", data: { object } });
    await sweep("stripe_fetches");
    const { rows } = await db.query("select state from ops.event where id = 'evt_of_what_is_gone'");
    expect(rows).toEqual([{ state: "ignored" }]);
  });

  test("and cannot be fetched now is left for later, and the others are fetched", async ({ market, sweep, db }) => {
    const stripe = new Stripe("sk_test_market", market.stripe.config);
    const ids = [await stripe.customers.create(), await stripe.customers.create()].map(({ id }) => id);
    const event = { object: "event", type: "customer.deleted", api_version: "2019-01-01", created: 1, livemode: false };
    for (const id of ids) await deliver(market, { ...event, id: `evt_${id}`, data: { object: { id } } });
    market.stripe.faults.next({ kind: "500", times: 2, match: `GET /v1/customers/${ids[0]}` });
    expect(await sweep("stripe_fetches")).toMatchObject([{ processed: 1, failed: 1, error: null }]);
    const { rows } = await db.query("select id, state = 'fetching' as open from ops.event where id = any($1)", [
      ids.map((id) => `evt_${id}`),
    ]);
    expect(rows.toSorted((a, b) => Number(b.open) - Number(a.open))).toEqual([
      { id: `evt_${ids[0]}`, open: true },
      { id: `evt_${ids[1]}`, open: false },
    ]);
  });
});
