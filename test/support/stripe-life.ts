import { creditsOf, partOf } from "./stripe-life-credits.ts";
import type { LifePrice, Paid } from "./stripe-life-credits.ts";
import { checkoutFact, invoiceFact, subscriptionFact } from "./till.ts";
import type { Customer, Fact } from "./till.ts";

/** A plan as the provider knows it: a price per interval. */
export interface LifePlan {
  month: string;
  year: string;
  included: number;
}

/** What happened at the provider, to be told as an event. `created`: whole seconds, as it tells them. */
export interface Told {
  type: string;
  created: number;
  fact: Fact;
}

/** What may happen to a subscription. What its state does not allow does not happen. */
export const acts = [
  "renew",
  "fail",
  "pay",
  "give_up",
  "plan",
  "interval",
  "quantity",
  "cancel",
  "uncancel",
  "pause",
  "resume",
  "delete",
] as const;
export type Act = (typeof acts)[number];

const day = 86_400;
const owing = new Set(["past_due", "unpaid"]);

/** One subscription's life at Stripe, from its own rules: its object, the events that tell of it, and what it has paid. */
export class StripeLife {
  readonly told: Told[] = [];
  readonly paid: Paid[] = [];
  readonly #of: Customer;
  readonly #id: string;
  readonly #plans: readonly LifePlan[];
  readonly #trial_days: number;
  #price: LifePrice;
  #open: Paid[] = [];
  #invoices = 0;
  /** Changes of its price in the second of the last one. */
  #moves = 0;
  #moved_at = 0;
  #object: Record<string, unknown> & {
    status: string;
    quantity: number;
    current_period_start: number;
    current_period_end: number;
  };

  constructor(
    of: Customer,
    id: string,
    plans: readonly LifePlan[],
    { plan, trial_days }: { plan: number; trial_days: number },
  ) {
    this.#of = of;
    this.#id = id;
    this.#plans = plans;
    this.#trial_days = trial_days;
    this.#price = { plan: this.#plan(plan), every: "month" };
    this.#object = { status: "incomplete", quantity: 1, current_period_start: 0, current_period_end: 0 };
  }

  get status(): string {
    return this.#object.status;
  }

  /** The object as it would be fetched now, with what its schedule will do. */
  get fact(): Fact {
    return { ...this.#seen, next_price: null, next_price_at: null };
  }

  /** What its credits are when each invoice gives once, in the order of the periods, and nothing is spent. */
  credits(rollover_cap: number | null): Record<string, number> {
    return this.#over ? {} : creditsOf(this.paid, rollover_cap);
  }

  /**
   * Since when it owes, as far as whole seconds say. Where it owes since a second that said both, who looked at it meanwhile may know
   * more: not before `earliest`; and where nothing was told after it (`latest` is null), it is when somebody looked.
   */
  get owesSince(): { earliest: number; latest: number | null } {
    const states = this.told.flatMap(({ created, fact }) =>
      fact.kind === "subscription" ? [{ created, owes: owing.has(String(fact["status"])) }] : [],
    );
    const healthy = Math.max(0, ...states.filter(({ owes }) => !owes).map(({ created }) => created));
    const since = states.filter(({ created, owes }) => owes && created > healthy).map(({ created }) => created);
    const latest = since.length === 0 ? null : Math.min(...since);
    const saidBoth = states.some(({ created, owes }) => owes && created === healthy);
    return { earliest: saidBoth ? healthy : (latest ?? healthy), latest };
  }

  /** It is bought: by a checkout's session, whose purchase is ours. */
  begin(now: number, checkout: { purchase: string; session: string }): void {
    const trial = this.#trial_days > 0;
    const end = trial ? now + this.#trial_days * day : after(now, "month");
    Object.assign(this.#object, { current_period_start: now, current_period_end: end, trial_end: trial ? end : null });
    this.#tell(now, "created");
    this.#object.status = trial ? "trialing" : "active";
    this.#tell(now, "updated");
    const invoice = this.#bill(now, "subscription_create", now, end);
    this.#pay(now, invoice);
    const session = { mode: "subscription", subscription: this.#id, invoice: invoice.invoice, created: now - 600 };
    this.#event(now, "checkout.session.completed", checkoutFact(this.#of, checkout, session));
  }

  /** Lets something happen, if it may; a period that is over is followed by the next in any case. */
  happen(now: number, act: Act, which: number): void {
    if (this.#over) return;
    const { status, current_period_end } = this.#object;
    if (now >= current_period_end && status !== "paused") this.#renew(now, act === "fail");
    else if (act === "pay" && owing.has(status)) this.#recover(now);
    else if (act === "give_up" && status === "past_due") this.#become(now, "unpaid");
    else if (act === "plan" && this.#changes) this.#move(now, { ...this.#price, plan: this.#plan(which) });
    else if (act === "interval" && this.#changes) this.#move(now, { ...this.#price, every: "year" });
    else if (act === "quantity" && this.#changes) this.#count(now, 1 + (which % 5));
    else if (act === "cancel") this.#set(now, { cancel_at: current_period_end });
    else if (act === "uncancel") this.#set(now, { cancel_at: null });
    else if (act === "resume" && status === "paused") this.#become(now, "active", "resumed");
    else if (act === "delete" && which === 0) this.#end(now);
    else if (act === "pause" && status === "trialing") this.#become(now, "paused", "paused");
  }

  get #seen(): Fact {
    return subscriptionFact(this.#of, this.#id, this.#price.plan[this.#price.every], this.#object);
  }

  get #over(): boolean {
    return this.#object.status === "canceled";
  }

  /** A plan is changed while nothing is owed; in a trial nothing is billed for it. */
  get #changes(): boolean {
    return this.#object.status === "active" || this.#object.status === "trialing";
  }

  #plan(which: number): LifePlan {
    const plan = this.#plans[which % this.#plans.length];
    if (plan === undefined) throw new Error("there is no plan");
    return plan;
  }

  #renew(now: number, fails: boolean): void {
    const starts = this.#object.current_period_end;
    const ends = after(starts, this.#price.every);
    Object.assign(this.#object, { current_period_start: starts, current_period_end: ends });
    if (this.#object.status === "trialing") this.#object.status = "active";
    const invoice = this.#bill(now, "subscription_cycle", starts, ends);
    if (fails || owing.has(this.#object.status)) {
      this.#open.push(invoice);
      if (this.#object.status !== "unpaid") this.#object.status = "past_due";
      this.#event(now, "invoice.payment_failed", { ...this.#invoice(invoice), event: "payment_failed" });
    } else {
      this.#pay(now, invoice);
    }
    this.#tell(now, "updated");
  }

  #recover(now: number): void {
    for (const invoice of this.#open.splice(0)) this.#pay(now, invoice);
    this.#become(now, "active");
  }

  #move(now: number, price: LifePrice): void {
    const from = this.#price;
    if (price.plan === from.plan && price.every === from.every) return;
    // Of three in one second, one of them of the interval, invoices do not say which came first (db/sql/billing/README.md).
    this.#moves = now === this.#moved_at ? this.#moves + 1 : 1;
    this.#moved_at = now;
    if (this.#moves > 2) return;
    this.#price = price;
    if (this.#object.status === "active") {
      const { current_period_start, current_period_end } = this.#object;
      const anew = price.every !== from.every;
      const ends = anew ? after(now, price.every) : current_period_end;
      const part = anew ? 1 : partOf(now, current_period_start, current_period_end);
      if (anew) Object.assign(this.#object, { current_period_start: now, current_period_end: ends });
      this.#pay(now, { ...this.#bill(now, "subscription_update", now, ends), from, part });
    }
    this.#tell(now, "updated");
  }

  #count(now: number, quantity: number): void {
    this.#object.quantity = quantity;
    const { status, current_period_end } = this.#object;
    if (status === "active") {
      const invoice = this.#bill(now, "subscription_update", now, current_period_end);
      this.#pay(now, { ...invoice, from: this.#price, part: 0 });
    }
    this.#tell(now, "updated");
  }

  #end(now: number): void {
    Object.assign(this.#object, { status: "canceled", canceled_at: now, ended_at: now });
    this.#tell(now, "deleted");
  }

  #become(now: number, status: string, event = "updated"): void {
    this.#object.status = status;
    this.#tell(now, event);
  }

  #set(now: number, members: Record<string, unknown>): void {
    Object.assign(this.#object, members);
    this.#tell(now, "updated");
  }

  #bill(now: number, reason: string, starts: number, ends: number): Paid {
    this.#invoices += 1;
    return {
      invoice: `in_${this.#id}_${this.#invoices}`,
      reason,
      created: now,
      starts,
      ends,
      price: this.#price,
      from: null,
      part: 1,
    };
  }

  #pay(now: number, invoice: Paid): void {
    this.paid.push(invoice);
    this.#event(now, "invoice.paid", this.#invoice(invoice));
  }

  #invoice({ invoice, reason, created, starts, ends, price, from }: Paid): Fact {
    return invoiceFact(this.#of, this.#id, price.plan[price.every], {
      invoice,
      billing_reason: reason,
      created,
      paid_at: created,
      starts_at: starts,
      ends_at: ends,
      from_price: from === null ? null : from.plan[from.every],
    });
  }

  #tell(now: number, event: string): void {
    this.#event(now, `customer.subscription.${event}`, { ...this.#seen, event });
  }

  #event(created: number, type: string, fact: Fact): void {
    this.told.push({ created, type, fact });
  }
}

/** The end of a period, in UTC; of a month without that day, its last. */
function after(seconds: number, every: "month" | "year"): number {
  const date = new Date(seconds * 1000);
  const months = date.getUTCMonth() + (every === "month" ? 1 : 12);
  const last = new Date(Date.UTC(date.getUTCFullYear(), months + 1, 0)).getUTCDate();
  const day_of_month = Math.min(date.getUTCDate(), last);
  return Date.UTC(date.getUTCFullYear(), months, day_of_month) / 1000 + (seconds % day);
}
