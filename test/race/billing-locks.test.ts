import type { Pool } from "pg";
import { expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { start, syncCheckout } from "../support/buying.ts";
import { Account, advance, call, outcome, rows } from "../support/scenario.ts";
import { Till, checkoutFact, invoiceFact, subscriptionFact } from "../support/till.ts";
import type { Customer, Fact, Offer } from "../support/till.ts";
import { testRoutines as test, times } from "./arena.ts";

// B14: locks are taken in one order, event → intents → workspace → everything of the workspace's → accounts. Whatever billing and
// payments do to the same workspaces is set against each other. That Postgres ended no deadlock is asserted for the whole file
// (arena.ts). Sweeps that take rows of several workspaces skip what is locked, and wait for nothing.

/** What a routine may say here; everything else, above all 40P01 and 55P03, is a failure. */
const refusals = new Set([
  "done",
  "insufficient_credits",
  "subscription_exists",
  "checkout_open",
  "change_invalid",
  "workspace_read_only",
  "workspace_frozen",
  "no_subscription",
]);

const now = Math.floor(Date.now() / 1000);

class Scene {
  readonly till: Till;
  readonly customer: Customer;
  readonly plans: Offer[];
  readonly pack: Offer;
  readonly bought: { purchase: string; session: string };
  readonly account: Account;
  readonly intents: string[];
  readonly subscription: string;

  constructor(till: Till, customer: Customer, plans: Offer[], pack: Offer, bought: Scene["bought"]) {
    this.till = till;
    this.customer = customer;
    this.plans = plans;
    this.pack = pack;
    this.bought = bought;
    this.account = new Account(till.db, { owner: customer.workspace });
    this.intents = times(4).map((i) => `pi_${i}_${bought.session}`);
    this.subscription = `sub_${bought.session}`;
  }

  static async open(db: Pool): Promise<Scene> {
    const till = new Till(db);
    const plans = [
      await till.plan({ included_credits: 30, rollover_cap: 10 }),
      await till.plan({ included_credits: 60, seats: 3 }),
    ];
    const [pack, customer] = [await till.pack(100), await till.customer()];
    return new Scene(till, customer, plans, pack, await till.checkout(customer, { pack }));
  }

  intent(i: number): string {
    return this.intents[i % 4] ?? "";
  }

  price(i: number): string {
    return this.plans[i % 2]?.price ?? "";
  }

  tell(type: string, fact: Fact, at = now): Promise<unknown> {
    return this.till.send(type, fact, at);
  }
}

type Move = (scene: Scene, i: number, db: Pool) => Promise<unknown>;

/** Everything that moves a workspace's subscription, purchases, payments or credits, the i-th time. */
const moves: Record<string, Move> = {
  // Two intents, named in opposite orders.
  invoice: (s, i) =>
    s.tell(
      "invoice.paid",
      invoiceFact(s.customer, s.subscription, s.price(i), {
        invoice: `in_${i % 7}_${s.subscription}`,
        starts_at: 1_790_000_000 + (i % 5) * 2_592_000,
        ends_at: 1_792_592_000 + (i % 5) * 2_592_000,
        payment_intents: i % 2 === 0 ? [s.intent(1), s.intent(2)] : [s.intent(2), s.intent(1)],
      }),
    ),
  checkout: (s) => s.tell("checkout", checkoutFact(s.customer, s.bought, { payment_intent: s.intent(0) })),
  refund: (s, i) =>
    s.tell("refund", {
      kind: "refund",
      refund: `re_${i % 9}_${s.subscription}`,
      payment_intent: s.intent(i),
      charge: "ch",
      amount: 10 + i,
      status: i % 3 === 0 ? "failed" : "succeeded",
      created: 1,
    }),
  charge: (s, i) =>
    s.tell("charge.refunded", {
      kind: "charge",
      charge: "ch",
      payment_intent: s.intent(i),
      customer: null,
      amount: 1000,
      amount_refunded: i * 7,
    }),
  dispute: (s, i) =>
    s.tell(
      "dispute",
      {
        kind: "dispute",
        dispute: `dp_${i % 3}_${s.subscription}`,
        payment_intent: s.intent(i),
        charge: "ch",
        amount: 300,
        status: ["needs_response", "won", "lost"][i % 3],
        created: 1,
      },
      now + i,
    ),
  subscription: (s, i) =>
    s.tell(
      "customer.subscription.updated",
      subscriptionFact(s.customer, s.subscription, s.price(i), {
        status: ["active", "past_due", "unpaid"][i % 3],
        quantity: 1 + (i % 3),
      }),
      now + i,
    ),
  second: (s, i) =>
    s.tell(
      "customer.subscription.created",
      subscriptionFact(s.customer, `${s.subscription}_${i % 2}`, s.price(i), { event: "created" }),
      now + i,
    ),
  link: (s, i, db) =>
    call(db, "payments.sync_intent", {
      provider: "stripe",
      id: s.intent(i),
      reference: `in_1_${s.subscription}`,
      refunds: "[]",
      disputes: "[]",
    }),
  session: (s, _, db) =>
    syncCheckout(db, s.bought.purchase, checkoutFact(s.customer, s.bought, { payment_intent: s.intent(3) })),
  start: (s, i, db) =>
    start(db, s.customer.workspace, i % 2 === 0 ? { pack: s.pack.code } : { plan: s.plans[0]?.code ?? "" }),
  change: (s, i, db) =>
    call(db, "billing.begin_change", {
      workspace_id: s.customer.workspace,
      change: "quantity",
      plan_code: null,
      plan_number: null,
      quantity: 1 + i,
      caused_by: "test",
    }),
  sync: async (s, i, db) => {
    const [row] = await rows<{ id: string; version: number }>(
      db,
      "select id, version from billing.subscription where provider_id = $1",
      [s.subscription],
    );
    if (row === undefined) return;
    const fact = JSON.stringify(subscriptionFact(s.customer, s.subscription, s.price(i), { quantity: 1 + (i % 4) }));
    await call(db, "billing.sync_subscription", {
      id: row.id,
      generation: row.version,
      asked_at: new Date().toISOString(),
      fact,
    });
  },
  freeze: (s, i, db) =>
    i % 2 === 0
      ? call(db, "people.freeze_workspace", { workspace_id: s.customer.workspace, reason: "x", caused_by: "test" })
      : call(db, "people.unfreeze_workspace", { workspace_id: s.customer.workspace, caused_by: "test" }),
  spend: (s, i) => s.account.spend(1 + (i % 3)),
  hold: async (s) => s.account.release((await s.account.hold(1)).id),
  // Of nobody yet: it is parked, and the sweep takes it again with whatever else is due.
  parked: (s, i) =>
    s.tell(
      "invoice.paid",
      invoiceFact(s.customer, s.subscription, `price_${i % 5}`, { payment_intents: [s.intent(i)] }),
    ),
  publish: (s, i) =>
    s.till
      .publish(`tollgate_${s.pack.code}_1_eur`, s.pack.price)
      .then(() => s.till.db.query("select ops.wake_events($1)", [`price:price_${i % 5}`])),
  retry: (_, __, db) => call(db, "ops.events_retry", { batch: 100 }),
  links: (_, __, db) => call(db, "payments.claim_links", { batch: 100, lease: "1 second" }),
  checks: (_, __, db) => call(db, "payments.claim_checks", { batch: 100, lease: "1 second" }),
  syncs: (_, __, db) => call(db, "billing.claim_syncs", { batch: 100, lease: "1 second" }),
  settle: (_, __, db) => call(db, "billing.duplicates_settle", { batch: 100 }),
  clock: (_, __, db) => advance(db, "61 seconds"),
};

test("B14 whatever billing and payments do to the same four workspaces at once: four rounds of 220 calls", async ({
  db,
}) => {
  const names = Object.keys(moves);
  for (const round of times(4)) {
    const scenes = await race(4, () => Scene.open(db));
    const outcomes = await race(220, (i) => {
      const [name, scene] = [names[(i * 5 + round) % names.length] ?? "", scenes[(i + Math.floor(i / 13)) % 4]];
      if (scene === undefined) throw new Error("there is nobody");
      return outcome(moves[name]?.(scene, i + round, db) ?? Promise.reject(new Error(name))).then((what) =>
        refusals.has(what) ? what : `${name}: ${what}`,
      );
    });
    const counts = tally(outcomes);
    expect(
      Object.keys(counts).filter((what) => !refusals.has(what)),
      `round ${round}`,
    ).toEqual([]);
    expect(counts["done"]).toBeGreaterThan(120);
  }
});

const pairs: [string, string][] = [
  ["refund", "invoice"],
  ["invoice", "invoice"],
  ["checkout", "link"],
  ["invoice", "link"],
  ["refund", "start"],
  ["subscription", "invoice"],
  ["second", "sync"],
  ["retry", "invoice"],
  ["retry", "publish"],
  ["dispute", "spend"],
  ["freeze", "refund"],
];

test.for(pairs)("B14 %s against %s", async ([one, other], { db }) => {
  const scenes = await race(2, () => Scene.open(db));
  for (const scene of scenes) for (const i of times(5)) await moves["parked"]?.(scene, i, db);
  await advance(db, "61 seconds");
  const outcomes = await race(40, (i) => {
    const [name, scene] = [i % 2 === 0 ? one : other, scenes[(i >> 1) % 2]];
    if (scene === undefined) throw new Error("there is nobody");
    return outcome(moves[name]?.(scene, i, db) ?? Promise.reject(new Error(name)));
  });
  expect(Object.keys(tally(outcomes)).filter((what) => !refusals.has(what))).toEqual([]);
});
