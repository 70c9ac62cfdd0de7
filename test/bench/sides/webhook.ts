import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Stripe } from "stripe";
import type { BuiltWorker } from "../../world/bundle.ts";
import { withClient } from "../../world/roles.ts";
import { connect, disconnect, nth } from "../arena.ts";
import type { Arena } from "../arena.ts";
import { startAside } from "../aside.ts";
import { openCallers } from "../callers.ts";
import { median } from "../measure.ts";
import type { Fact, Group } from "../measure.ts";
import { bareModule, roundTripsOf } from "./worker.ts";
import { compatibilityDateOf, startWorkerd } from "../workerd.ts";

const clients = 16;
const secret = "whsec_bench";
/** Deliveries of each kind that are timed one at a time, and whose round trips are counted. */
const counted = 200;
const month = 2_592_000;

/** What a delivery is to the database: the routine's arguments, by position in the statement. */
interface Delivery {
  body: string;
  fact: string;
  id: string;
  occurred_at: string;
}

const statement = `select to_json(ops.receive_event(provider => 'stripe', id => $1, type => 'invoice.paid', subject => null,
  occurred_at => $2, fact => $3, payload => $4)) as answer`;
const effect = "select ops.apply_event('stripe', $3::jsonb, $1, $2::timestamptz) as answer";

/**
 * Stripe's deliveries over HTTP, in workerd: signature, inbox and effect. The effect is a whole one: a paid invoice of a new
 * period, which is a payment, a renewal and a reset of the pool. Each client has workspaces of its own, so that the periods
 * follow each other.
 */
export async function webhook(arena: Arena, built: BuiltWorker): Promise<Group> {
  const bridge = await startAside({ kind: "bridge", port: arena.cluster.port });
  const bridgeUrl = `http://127.0.0.1:${bridge.port}`;
  const database = { DATABASE_URL: arena.workerUrl, DATABASE_FETCH_ENDPOINT: `${bridgeUrl}/sql` };
  const workerd = await startWorkerd(
    [
      {
        module: readFileSync(built.script, "utf8"),
        bindings: { ...database, STRIPE_SECRET_KEY: "sk_test_bench", STRIPE_WEBHOOK_SECRET: secret },
      },
      // The effect alone takes the owner's role: the Worker's may not call it.
      { module: bareModule, bindings: { ...database, DATABASE_URL: arena.ownerUrl } },
    ],
    compatibilityDateOf(built),
  );
  const [productUrl = "", bareUrl = ""] = workerd.urls;
  const callers = openCallers(clients);
  const connections = await connect(arena.ownerUrl, clients);
  const price = await withClient(arena.ownerUrl, async (owner) => {
    await owner.query(
      `select billing.create_plan('bench', 'Bench', 20, null, null, null, null, 0, 7, '{eur}', '{month}', '{1}', '{2000}', 'bench')`,
    );
    await owner.query("select billing.publish_price('tollgate_bench_1_eur_1month', 'price_bench')");
    await owner.query(
      `insert into payments.customer (workspace_id, provider, number, provider_id, claimed_at)
       select w.id, 'stripe', 1, 'cus_' || replace(w.id::text, '-', ''), ops.now() from people.workspace w`,
    );
    return "price_bench";
  });

  const stripe = new Stripe("sk_test_bench");
  const periods = new Map<string, number>();
  const next = (client: number): Delivery => {
    // The clients share no workspace.
    const place = client + clients * Math.floor((Math.random() * arena.workspaces.length) / clients);
    const workspace = nth(arena.workspaces, place % arena.workspaces.length);
    const period = (periods.get(workspace) ?? 0) + 1;
    periods.set(workspace, period);
    return delivery(workspace.replaceAll("-", ""), price, period);
  };
  const post = async (client: number) => {
    const { body } = next(client);
    const signature = stripe.webhooks.generateTestHeaderString({ payload: body, secret });
    const headers = { "Content-Type": "application/json", "Stripe-Signature": signature };
    const { status, text } = await callers.send(`${productUrl}/webhooks/stripe`, "POST", headers, body);
    if (status !== 200 || !text.includes('"state":"applied"')) {
      throw new Error(`a delivery was answered ${status}: ${text.slice(0, 300)}`);
    }
  };
  const straight = (text: string, width: number) => async (client: number) => {
    const { id, occurred_at, fact, body } = next(client);
    const values = [id, occurred_at, fact, body].slice(0, width);
    await nth(connections, client).client.query({ name: `${width}`, text, values });
  };
  const passedOn = (query: string, width: number) => async () => {
    const { id, occurred_at, fact, body } = next(0);
    const params = [id, occurred_at, fact, body].slice(0, width);
    const { status, text } = await callers.send(bareUrl, "POST", {}, JSON.stringify({ query, params }));
    if (status !== 200) throw new Error(`the statement was answered ${status}: ${text.slice(0, 300)}`);
  };

  const roundTrips = await roundTripsOf(bridgeUrl, [() => post(0)]);
  const [whole, stored, alone] = await timed([() => post(0), passedOn(statement, 4), passedOn(effect, 3)]);
  return {
    sides: [
      { name: "webhook delivery with its effect", clients, call: post },
      { name: "its statement straight at the database", clients, call: straight(statement, 4) },
    ],
    ratios: [
      {
        what: "webhook deliveries / the same statement straight at the database",
        of: "webhook delivery with its effect",
        to: "its statement straight at the database",
      },
    ],
    facts: (): Fact[] => [
      {
        what: "webhook: database round trips per delivery",
        figure: roundTrips.toFixed(3),
        reach: "exactly 1",
        reached: roundTrips === 1,
      },
      {
        what: "webhook: ms that signature and parsing add to a delivery (the seed: 5 to 10 for all protection)",
        figure: `${(whole - stored).toFixed(2)} ms`,
      },
      { what: "webhook: ms that the inbox adds to the effect alone", figure: `${(stored - alone).toFixed(2)} ms` },
    ],
    stop: async () => {
      callers.close();
      await disconnect(...connections);
      await workerd.stop();
      await bridge.stop();
    },
  };
}

/** Medians in milliseconds, one call at a time, in turns. */
async function timed(kinds: readonly [() => Promise<void>, () => Promise<void>, () => Promise<void>]) {
  const times: [number[], number[], number[]] = [[], [], []];
  for (let i = 0; i < counted; i += 1) {
    for (const [place, kind] of kinds.entries()) {
      const before = performance.now();
      await kind();
      times[place]?.push(performance.now() - before);
    }
  }
  return [median(times[0]), median(times[1]), median(times[2])] as const;
}

/** A paid invoice of a subscription's n-th period, as Stripe would send it and as the Worker reads it. */
function delivery(workspace: string, price: string, period: number): Delivery {
  const id = `evt_${randomUUID().replaceAll("-", "")}`;
  const invoice = `in_${randomUUID().replaceAll("-", "")}`;
  const starts_at = 1_600_000_000 + period * month;
  const ends_at = starts_at + month;
  const [customer, subscription] = [`cus_${workspace}`, `sub_${workspace}`];
  const money = { amount_paid: 2000, amount_due: 2000, currency: "eur" };
  const fact = {
    kind: "invoice",
    event: "paid",
    invoice,
    customer,
    subscription,
    billing_reason: "subscription_cycle",
    ...money,
    created: starts_at,
    paid_at: starts_at,
    price,
    from_price: null,
    starts_at,
    ends_at,
    payment_intents: [],
  };
  const line = {
    id: `il_${invoice}`,
    object: "line_item",
    amount: 2000,
    currency: "eur",
    quantity: 1,
    period: { start: starts_at, end: ends_at },
    pricing: { type: "price_details", price_details: { price, product: "prod_bench" } },
    parent: {
      type: "subscription_item_details",
      subscription_item_details: { proration: false, subscription, subscription_item: "si_bench" },
    },
  };
  const object = {
    id: invoice,
    object: "invoice",
    customer,
    billing_reason: "subscription_cycle",
    ...money,
    created: starts_at,
    status_transitions: { paid_at: starts_at },
    parent: { type: "subscription_details", subscription_details: { subscription } },
    lines: { object: "list", data: [line], has_more: false },
  };
  const body = JSON.stringify({
    id,
    object: "event",
    type: "invoice.paid",
    created: starts_at,
    livemode: false,
    api_version: Stripe.API_VERSION,
    data: { object },
  });
  return { id, body, fact: JSON.stringify(fact), occurred_at: new Date(starts_at * 1000).toISOString() };
}
