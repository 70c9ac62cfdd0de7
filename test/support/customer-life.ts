import { Stripe } from "stripe";
import { idOf } from "../world/stripe/ids.ts";
import type { Workspace } from "./api.ts";
import { type Crossing, sessionOf } from "./crossing.ts";
import { places } from "./market.ts";

/** What is sold to a customer. */
export interface Shelf {
  small: string;
  large: string;
  pack: string;
}

/** Puts two plans and a pack on sale. */
export async function stock(crossing: Crossing): Promise<Shelf> {
  return {
    small: await crossing.plan({ included_credits: 500 }),
    large: await crossing.plan({ included_credits: 900, amount_minor: 3900 }),
    pack: await crossing.pack(),
  };
}

/** A customer of a workspace, who acts at Stripe itself, so that only Stripe can tell of it. */
export class CustomerLife {
  readonly workspace: Workspace;
  readonly stripe: Stripe;
  readonly #crossing: Crossing;
  readonly #shelf: Shelf;
  customer = "";
  subscription = "";

  private constructor(crossing: Crossing, shelf: Shelf, workspace: Workspace) {
    this.#crossing = crossing;
    this.#shelf = shelf;
    this.workspace = workspace;
    this.stripe = new Stripe("sk_test_market", { ...crossing.stripe.config, maxNetworkRetries: 0 });
  }

  /** A new workspace, which is no customer yet. */
  static async begin(crossing: Crossing, shelf: Shelf): Promise<CustomerLife> {
    return new CustomerLife(crossing, shelf, await crossing.api.workspace());
  }

  /** Buys a pack or subscribes to a plan, through our checkout and on Stripe's page. Answers the session. */
  async buy(what: { plan: string } | { pack: string }): Promise<Stripe.Checkout.Session> {
    const { api, stripe } = this.#crossing;
    const begun = await api.post(`${this.workspace.path}/checkout`, { ...what, currency: "eur", ...places });
    const session = sessionOf(stripe, String(begun.body["id"]));
    if (session === null) throw new Error(`no session: ${JSON.stringify(begun.body)}`);
    const paid = stripe.pay(session.id);
    this.customer = idOf(paid.customer) ?? "";
    this.subscription = idOf(paid.subscription) ?? this.subscription;
    return paid;
  }

  buyPlan(): Promise<Stripe.Checkout.Session> {
    return this.buy({ plan: this.#shelf.small });
  }

  buyPack(): Promise<Stripe.Checkout.Session> {
    return this.buy({ pack: this.#shelf.pack });
  }

  /** Moves to a plan now, and pays the difference. */
  async move(to: "small" | "large"): Promise<void> {
    const lookup = `tollgate_${this.#shelf[to]}_1_eur_1month`;
    const [price] = (await this.stripe.prices.list({ lookup_keys: [lookup] })).data;
    const id = (await this.#object()).items.data[0]?.id ?? "";
    await this.stripe.subscriptions.update(this.subscription, {
      items: [{ id, price: price?.id ?? "" }],
      proration_behavior: "always_invoice",
    });
  }

  async cancelAtPeriodEnd(cancel: boolean): Promise<void> {
    await this.stripe.subscriptions.update(this.subscription, { cancel_at_period_end: cancel });
  }

  async cancelNow(): Promise<void> {
    await this.stripe.subscriptions.cancel(this.subscription);
  }

  /** Gives back a part of what was paid last. */
  async refund(amount: number): Promise<void> {
    await this.stripe.refunds.create({ payment_intent: this.lastPaid(), amount });
  }

  /** The payment intent of what was paid last. */
  lastPaid(): string {
    const charges = [...this.#crossing.stripe.state.charges.values()].filter(
      (charge) =>
        idOf(charge.customer) === this.customer &&
        charge.status === "succeeded" &&
        charge.amount_refunded === 0 &&
        !charge.disputed,
    );
    return idOf(charges.at(-1)?.payment_intent) ?? "";
  }

  /** Whether a change to the larger plan was paid in the period that runs: of two, whichever is told first gives the credits. */
  movedUp(): boolean {
    const { subscriptions, invoices } = this.#crossing.stripe.state;
    const since = subscriptions.get(this.subscription)?.items.data[0]?.current_period_start ?? 0;
    return [...invoices.values()].some(
      ({ customer, billing_reason, created, amount_paid }) =>
        idOf(customer) === this.customer &&
        billing_reason === "subscription_update" &&
        created >= since &&
        amount_paid > 0,
    );
  }

  #object(): Promise<Stripe.Subscription> {
    return this.stripe.subscriptions.retrieve(this.subscription);
  }
}
