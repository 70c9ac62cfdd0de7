import { randomUUID } from "node:crypto";
import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** What the Worker takes out of an event: `src/outside/stripe/fact.ts`. */
export type Fact = Record<string, unknown> & { kind: string };

/** What the inbox answered. */
export interface Received {
  state: string;
  outcome: string | null;
  duplicate: boolean;
}

/** One event, ready to be delivered, and delivered again. */
export interface TillEvent {
  id: string;
  type: string;
  /** Unix seconds, the provider's. */
  occurred_at: number;
  fact: Fact | null;
}

interface PlanWish {
  included_credits?: number;
  rollover_cap?: number | null;
  rollover_expires_in?: string | null;
  seats?: number | null;
  storage_bytes?: number | null;
  trial_days?: number;
  grace_days?: number;
  amount?: number;
}

const unique = () => randomUUID().replaceAll("-", "").slice(0, 12);

/** A plan's or pack's version with the id that its price has at the provider. */
export interface Offer {
  code: string;
  id: string;
  number: number;
  price: string;
}

/** A workspace and its customer's id at the provider. */
export interface Customer {
  workspace: string;
  customer: string;
}

/** A shop without a Worker: plans and packs as the provider knows them, customers, and events handed to the inbox itself. */
export class Till {
  readonly db: Db;
  /** When it was first asked for the second, in real time. */
  #real: number | null = null;

  constructor(db: Db) {
    this.db = db;
  }

  /** A new version of a plan, monthly in euros, published at the provider. */
  async plan(wish: PlanWish = {}, code = `plan_${unique()}`): Promise<Offer> {
    const { amount = 2000, ...rest } = wish;
    const plan = await call<{ id: string; number: number }>(this.db, "billing.create_plan", {
      code,
      name: code,
      included_credits: 20,
      rollover_cap: null,
      rollover_expires_in: null,
      seats: null,
      storage_bytes: null,
      trial_days: 0,
      grace_days: 7,
      ...rest,
      currencies: ["eur"],
      interval_units: ["month"],
      interval_counts: [1],
      amounts_minor: [amount],
      caused_by: "test",
    });
    return { code, price: await this.publish(`tollgate_${code}_${plan.number}_eur_1month`), ...plan };
  }

  /** A credit pack or retail token in euros, published at the provider. */
  async pack(quantity: number, { kind = "credit_pack", amount = 1000 } = {}): Promise<Offer> {
    const code = `pack_${unique()}`;
    const pack = await call<{ id: string; number: number }>(this.db, "billing.create_pack", {
      code,
      kind,
      name: code,
      quantity,
      currencies: ["eur"],
      amounts_minor: [amount],
      caused_by: "test",
    });
    return { code, price: await this.publish(`tollgate_${code}_${pack.number}_eur`), ...pack };
  }

  /** The provider has this price under an id. */
  async publish(lookup_key: string, provider_id = `price_${unique()}`): Promise<string> {
    await call(this.db, "billing.publish_price", { lookup_key, provider_id });
    return provider_id;
  }

  /** A workspace that is a customer at the provider. */
  async customer(): Promise<Customer> {
    const { id } = await call<{ id: string }>(this.db, "people.create_workspace", { name: "Acme", caused_by: "test" });
    const customer = `cus_${unique()}`;
    await this.db.query(
      `insert into payments.customer (workspace_id, provider, number, provider_id, claimed_at)
       values ($1, 'stripe', 1, $2, ops.now())`,
      [id, customer],
    );
    return { workspace: id, customer };
  }

  /** A checkout that was begun here: its purchase and the session that the provider made for it. */
  async checkout(of: Customer, offer: { plan?: Offer; pack?: Offer; quantity?: number }) {
    const purchase = await call<{ id: string; session_token: string | null }>(this.db, "payments.start_checkout", {
      workspace_id: of.workspace,
      plan_code: offer.plan?.code ?? null,
      plan_number: offer.plan?.number ?? null,
      pack_code: offer.pack?.code ?? null,
      currency: "eur",
      interval_unit: offer.plan === undefined ? null : "month",
      interval_count: offer.plan === undefined ? null : 1,
      quantity: offer.quantity ?? 1,
      success_url: "https://app.example/ok",
      cancel_url: "https://app.example/no",
      caused_by: "test",
    });
    const session = `cs_${unique()}`;
    await call(this.db, "payments.record_session", {
      id: purchase.id,
      token: purchase.session_token,
      session_id: session,
      url: `https://pay.example/${session}`,
      expires_at: new Date(Date.now() + 23 * 3_600_000).toISOString(),
    });
    return { purchase: purchase.id, session };
  }

  /**
   * The second in which it is. It goes on as the clock is moved, and not by itself: what a test tells in one second has been told in one,
   * however long the machine took.
   */
  async second(): Promise<number> {
    const [row] = await rows<{ real: number; at: number }>(
      this.db,
      `select r.real, floor(extract(epoch from to_timestamp(r.real) + c.clock_offset))::int8 as at
         from ops.clock c
        cross join lateral (select coalesce($1::int8, floor(extract(epoch from clock_timestamp()))::int8) as real) r`,
      [this.#real],
    );
    if (row === undefined) throw new Error("there is no clock");
    this.#real = row.real;
    return row.at;
  }

  /** An event with a new id. */
  event(type: string, fact: Fact | null, occurred_at = Math.floor(Date.now() / 1000)): TillEvent {
    return { id: `evt_${unique()}`, type, occurred_at, fact };
  }

  /** Delivers an event to the inbox, as the webhook's statement does. */
  deliver(event: TillEvent, db: Db = this.db): Promise<Received> {
    return call<Received>(db, "ops.receive_event", {
      provider: "stripe",
      id: event.id,
      type: event.type,
      subject: null,
      occurred_at: new Date(event.occurred_at * 1000).toISOString(),
      fact: event.fact === null ? null : JSON.stringify(event.fact),
      payload: "{}",
    });
  }

  /** Why an event could not be applied. */
  async errorOf(event: TillEvent): Promise<string | null> {
    const [row] = await rows<{ error: string | null }>(this.db, "select error from ops.event where id = $1", [
      event.id,
    ]);
    return row?.error ?? null;
  }

  /** A new event with this fact, delivered. Throws with what went wrong where it could not be applied. */
  async send(type: string, fact: Fact | null, occurred_at?: number): Promise<Received> {
    const event = this.event(type, fact, occurred_at);
    const received = await this.deliver(event);
    if (received.state === "failed") throw new Error(`${type}: ${await this.errorOf(event)}`);
    return received;
  }

  /** What is left of a workspace's credits, by pool, and what it owes. */
  async credits(workspace: string): Promise<Record<string, number>> {
    const [row] = await rows<{ pools: string[]; pool_available: number[]; debt: number }>(
      this.db,
      "select pools, pool_available, debt from ledger.balance_of($1, 'credit')",
      [workspace],
    );
    const pools: Record<string, number> = {};
    for (const [i, pool] of (row?.pools ?? []).entries())
      pools[pool] = (pools[pool] ?? 0) + (row?.pool_available[i] ?? 0);
    return row !== undefined && row.debt > 0 ? { ...pools, debt: row.debt } : pools;
  }
}

/** A subscription's object as the provider would tell it, whole. */
export function subscriptionFact(of: Customer, id: string, price: string, more: Record<string, unknown> = {}): Fact {
  return {
    kind: "subscription",
    event: "updated",
    subscription: id,
    customer: of.customer,
    status: "active",
    price,
    quantity: 1,
    current_period_start: 1_790_000_000,
    current_period_end: 1_792_592_000,
    trial_end: null,
    cancel_at: null,
    canceled_at: null,
    ended_at: null,
    schedule: null,
    paused: false,
    created: 1_790_000_000,
    ...more,
  };
}

/** A paid invoice of a subscription's period, as the provider would tell it. */
export function invoiceFact(
  of: Customer,
  subscription: string,
  price: string,
  more: Record<string, unknown> = {},
): Fact & { invoice: string } {
  return {
    kind: "invoice",
    event: "paid",
    invoice: `in_${unique()}`,
    customer: of.customer,
    subscription,
    billing_reason: "subscription_cycle",
    amount_paid: 2000,
    amount_due: 2000,
    currency: "eur",
    created: 1_790_000_000,
    paid_at: 1_790_000_000,
    price,
    from_price: null,
    starts_at: 1_790_000_000,
    ends_at: 1_792_592_000,
    payment_intents: [],
    ...more,
  };
}

/** A completed checkout's session, as the provider would tell it. */
export function checkoutFact(
  of: Customer,
  { purchase, session }: { purchase: string; session: string },
  more: Record<string, unknown> = {},
): Fact {
  return {
    kind: "checkout",
    event: "completed",
    session,
    customer: of.customer,
    mode: "payment",
    status: "complete",
    payment_status: "paid",
    payment_intent: null,
    invoice: null,
    subscription: null,
    amount_total: 1000,
    currency: "eur",
    purchase,
    created: 1_790_000_000,
    ...more,
  };
}
