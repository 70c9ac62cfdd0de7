import { Stripe } from "stripe";
import { expect } from "vitest";
import { type Workspace, idOf } from "../support/api.ts";
import { type Crossing, sessionOf, test } from "../support/crossing.ts";
import { places } from "../support/market.ts";
import { rows } from "../support/scenario.ts";
import type { Step, Trip } from "../support/wires.ts";

/** What is sold, and the account's own way to Stripe. */
interface Shelf {
  plan: string;
  pack: string;
  stripe: Stripe;
}

/** A sweep that asks Stripe: what is there for it to do, and what it does outside. */
interface Sweep {
  name: string;
  sweep: string;
  steps: string[];
  /** Makes something that only this sweep will mend. Answers how many credits its workspace is to have then. */
  doubt(crossing: Crossing, shelf: Shelf): Promise<Doubt>;
}

interface Doubt {
  workspace: Workspace;
  credits: number;
}

/** Does something of which nobody is ever told, for Stripe has forgotten that it happened. */
async function untold<Result>({ stripe }: Crossing, work: () => Promise<Result>): Promise<Result> {
  await stripe.settled();
  const known = new Set(stripe.state.events.keys());
  stripe.deliveries = "dropped";
  const result = await work();
  stripe.deliveries = "automatic";
  for (const id of stripe.state.events.keys()) if (!known.has(id)) stripe.state.events.delete(id);
  return result;
}

/** A subscriber, and Stripe's name of what it has. */
async function subscribed(crossing: Crossing, plan: string) {
  const { db } = crossing;
  const workspace = await crossing.subscriber(plan);
  const [row] = await rows<{ id: string; provider_id: string; customer: string }>(
    db,
    `select s.id, s.provider_id, c.provider_id as customer
       from billing.subscription s join payments.customer c using (workspace_id) where s.workspace_id = $1`,
    [workspace.id],
  );
  if (row === undefined) throw new Error("no subscription");
  return { workspace, ...row };
}

/** A pack's checkout that is open. */
async function begun({ api, stripe }: Crossing, pack: string) {
  const workspace = await api.workspace();
  const answer = await api.post(`${workspace.path}/checkout`, { pack, currency: "eur", ...places });
  const session = sessionOf(stripe, idOf(answer));
  if (session === null) throw new Error(`no session: ${JSON.stringify(answer.body)}`);
  return { workspace, purchase: idOf(answer), session: session.id };
}

async function moreOf(crossing: Crossing, shelf: Shelf) {
  const of = await subscribed(crossing, shelf.plan);
  await untold(crossing, async () => {
    const { items } = await shelf.stripe.subscriptions.retrieve(of.provider_id);
    const item = items.data[0]?.id ?? "";
    await shelf.stripe.subscriptions.update(of.provider_id, {
      items: [{ id: item, quantity: 4 }],
      proration_behavior: "none",
    });
  });
  return of;
}

const sweeps: Sweep[] = [
  // The first: it asks for every customer that there is.
  {
    name: "stripe_customers",
    sweep: "stripe_customers",
    steps: ["payments.customers_after", "GET /v1/customers/*", "payments.compare_customer"],
    doubt: async (crossing, { pack, stripe }) => {
      const { workspace, session } = await begun(crossing, pack);
      const { customer } = crossing.stripe.pay(session);
      await crossing.stripe.settled();
      await untold(crossing, async () => stripe.customers.del(typeof customer === "string" ? customer : ""));
      return { workspace, credits: 100 };
    },
  },
  {
    name: "stripe_syncs",
    sweep: "stripe_syncs",
    steps: ["billing.claim_syncs", "GET /v1/subscriptions/*", "billing.sync_subscription"],
    doubt: async (crossing, shelf) => {
      const { workspace, id } = await moreOf(crossing, shelf);
      await crossing.db.query("select billing.mark_sync($1)", [id]);
      return { workspace, credits: 500 };
    },
  },
  {
    name: "stripe_checks",
    sweep: "stripe_checks",
    steps: ["payments.claim_checks", "GET /v1/checkout/sessions/*", "payments.sync_checkout"],
    doubt: async (crossing, { pack }) => {
      const { workspace, purchase, session } = await begun(crossing, pack);
      await untold(crossing, async () => crossing.stripe.pay(session));
      await crossing.db.query("update payments.purchase set check_due_at = ops.now() where id = $1", [purchase]);
      return { workspace, credits: 100 };
    },
  },
  {
    name: "stripe_links",
    sweep: "stripe_links",
    steps: [
      "payments.claim_links",
      "GET /v1/invoice_payments",
      "GET /v1/checkout/sessions",
      "GET /v1/refunds",
      "GET /v1/disputes",
      "payments.sync_intent",
    ],
    doubt: async (crossing, { pack, stripe }) => {
      const { workspace, session } = await begun(crossing, pack);
      const { payment_intent } = crossing.stripe.pay(session);
      await crossing.stripe.settled();
      const [intent] = [payment_intent].map((of) => (typeof of === "string" ? of : (of?.id ?? "")));
      await untold(crossing, async () => stripe.refunds.create({ payment_intent: intent ?? "", amount: 450 }));
      await crossing.db.query("update payments.intent set link_due_at = ops.now() where id = $1", [intent]);
      return { workspace, credits: 50 };
    },
  },
  {
    name: "stripe_fetches",
    sweep: "stripe_fetches",
    steps: ["ops.claim_fetches", "GET /v1/checkout/sessions/*", "ops.apply_fetched"],
    doubt: async (crossing, { pack }) => {
      const { workspace, session } = await begun(crossing, pack);
      const endpoints = [...crossing.stripe.state.endpoints.values()];
      // An endpoint that was made with an older package.
      for (const endpoint of endpoints) endpoint.api_version = "2019-01-01";
      crossing.stripe.pay(session);
      await crossing.stripe.settled();
      for (const endpoint of endpoints) endpoint.api_version = null;
      return { workspace, credits: 100 };
    },
  },
  {
    name: "stripe_events",
    sweep: "stripe_events",
    steps: ["ops.open_cursor", "GET /v1/events", "ops.missing_events", "ops.receive_event", "ops.move_cursor"],
    doubt: async (crossing, { pack }) => {
      const { workspace, session } = await begun(crossing, pack);
      crossing.stripe.deliveries = "dropped";
      crossing.stripe.pay(session);
      crossing.stripe.deliveries = "automatic";
      return { workspace, credits: 100 };
    },
  },
  {
    name: "stripe_compare",
    sweep: "stripe_compare",
    steps: ["GET /v1/subscriptions", "billing.compare_subscriptions", "billing.mark_unlisted"],
    doubt: async (crossing, shelf) => ({ workspace: (await moreOf(crossing, shelf)).workspace, credits: 500 }),
  },
  {
    name: "stripe_compare, of one that only Stripe knows",
    sweep: "stripe_compare",
    steps: ["billing.adopt_subscription"],
    doubt: async (crossing, { plan, pack, stripe }) => {
      const { workspace, session } = await begun(crossing, pack);
      const customer = crossing.stripe.state.sessions.get(session)?.customer;
      const [price] = (await stripe.prices.list({ lookup_keys: [`tollgate_${plan}_1_eur_1month`] })).data;
      crossing.stripe.deliveries = "dropped";
      await stripe.subscriptions.create({
        customer: typeof customer === "string" ? customer : "",
        items: [{ price: price?.id ?? "" }],
      });
      crossing.stripe.deliveries = "automatic";
      return { workspace, credits: 500 };
    },
  },
];

/** The deployment dies at each step of a sweep, before it is done and after. */
function tripsOf(steps: string[]): (Trip & { what: string })[] {
  return steps.flatMap((what) =>
    (["before", "after"] as const).map((when) => ({
      what,
      nth: 1,
      when,
      how: "dead" as const,
      of: (step: Step) => step.what === what,
    })),
  );
}

test.for(sweeps)("A11 $name: the deployment dies at every step of it", async (one, { crossing }) => {
  const { wires, tick, db, api, mend } = crossing;
  const { sweep, steps } = one;
  const shelf = {
    plan: await crossing.plan(),
    pack: await crossing.pack(),
    stripe: new Stripe("sk_test_market", { ...crossing.stripe.config, maxNetworkRetries: 0 }),
  };
  const doubts: Doubt[] = [];
  const due = (name: string) =>
    db.query("update ops.sweep set leased_until = null, started_at = started_at - interval '2 days' where name = $1", [
      name,
    ]);
  await tick();
  const unbroken: string[] = [];
  for (const trip of tripsOf(steps)) {
    doubts.push(await one.doubt(crossing, shelf));
    await due(sweep);
    const tripping = wires.trip(trip);
    await tick().catch(() => undefined);
    wires.mend();
    if (!tripping.done) unbroken.push(`${trip.what} ${trip.when}`);
  }
  expect(unbroken).toEqual([]);
  await due(sweep);
  await mend();
  const left = await Promise.all(
    doubts.map(async ({ workspace }) => (await api.get(workspace.credits)).body["available"]),
  );
  expect(left).toEqual(doubts.map(({ credits }) => credits));
});
