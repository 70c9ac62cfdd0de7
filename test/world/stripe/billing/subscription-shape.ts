import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { invalid } from "../failure.ts";
import { newId } from "../ids.ts";
import { whole } from "../list.ts";
import type { Params } from "../params.ts";

/** A recurring price, as a parameter named it. */
export function recurringPrice(account: Account, id: string, param: string): Stripe.Price {
  const price = account.find(account.state.prices, "price", id, param);
  if (price.recurring === null) {
    throw invalid(
      "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
      param,
    );
  }
  if (!price.active) {
    throw invalid("The price specified is inactive. This field only accepts active prices.", param);
  }
  return price;
}

/** A quantity of at least zero; 1 unless told. */
export function quantityOf(params: Params, before = 1): number {
  const quantity = params.integer("quantity") ?? before;
  if (quantity < 0) {
    throw invalid("Invalid non-negative integer", params.nameOf("quantity"), "parameter_invalid_integer");
  }
  return quantity;
}

/** One thing that is subscribed to. */
export function itemShape(
  account: Account,
  subscription: string,
  price: Stripe.Price,
  quantity: number,
  period: { start: number; end: number },
): Stripe.SubscriptionItem {
  return {
    id: newId("si", 14),
    object: "subscription_item",
    billing_thresholds: null,
    created: account.seconds(),
    current_period_end: period.end,
    current_period_start: period.start,
    current_trial: null,
    discounts: [],
    metadata: {},
    plan: planOf(price),
    price: structuredClone(price),
    quantity,
    subscription,
    tax_rates: [],
  };
}

/** The plan that Stripe still shows beside each price. */
export function planOf(price: Stripe.Price): Stripe.Plan {
  return {
    id: price.id,
    object: "plan",
    active: price.active,
    amount: price.unit_amount,
    amount_decimal: price.unit_amount_decimal,
    billing_scheme: "per_unit",
    created: price.created,
    currency: price.currency,
    interval: price.recurring?.interval ?? "month",
    interval_count: price.recurring?.interval_count ?? 1,
    livemode: false,
    metadata: { ...price.metadata },
    meter: null,
    nickname: price.nickname,
    product: price.product,
    tiers_mode: null,
    transform_usage: null,
    trial_period_days: null,
    usage_type: "licensed",
  };
}

/** What a subscription is made of. */
export interface SubscriptionWish {
  customer: string;
  items: { price: Stripe.Price; quantity: number }[];
  metadata: Record<string, string>;
  /** Until when, in seconds, nothing is to be paid. */
  trial_end: number | null;
  trial_settings?: Stripe.Subscription.TrialSettings;
  description?: string | null;
}

/** A subscription in its first state, before anything was paid. */
export function subscriptionShape(
  account: Account,
  wish: SubscriptionWish,
  period: { start: number; end: number },
): Stripe.Subscription {
  const id = newId("sub");
  const [now, trial] = [account.seconds(), wish.trial_end];
  const items = wish.items.map(({ price, quantity }) => itemShape(account, id, price, quantity, period));
  return {
    id,
    object: "subscription",
    application: null,
    application_fee_percent: null,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null },
    billing_cycle_anchor: trial ?? now,
    billing_cycle_anchor_config: null,
    billing_mode: { flexible: { proration_discounts: "included" }, type: "flexible" },
    billing_schedules: [],
    billing_thresholds: null,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
    collection_method: "charge_automatically",
    created: now,
    currency: wish.items[0]?.price.currency ?? "usd",
    customer: wish.customer,
    customer_account: null,
    days_until_due: null,
    default_payment_method: null,
    default_source: null,
    default_tax_rates: [],
    description: wish.description ?? null,
    discounts: [],
    ended_at: null,
    invoice_settings: {
      account_tax_ids: null,
      custom_fields: null,
      description: null,
      footer: null,
      issuer: { type: "self" },
    },
    items: whole(`/v1/subscription_items?subscription=${id}`, items),
    latest_invoice: null,
    livemode: false,
    managed_payments: null,
    metadata: { ...wish.metadata },
    next_pending_invoice_item_invoice: null,
    on_behalf_of: null,
    pause_collection: null,
    payment_settings: {
      payment_method_options: null,
      payment_method_types: null,
      save_default_payment_method: "off",
    },
    pending_invoice_item_interval: null,
    pending_setup_intent: null,
    pending_update: null,
    schedule: null,
    start_date: now,
    status: trial === null ? "incomplete" : "trialing",
    test_clock: null,
    transfer_data: null,
    trial_end: trial,
    trial_settings: wish.trial_settings ?? {
      end_behavior: { billing_cycle_anchor: null, missing_payment_method: "create_invoice" },
    },
    trial_start: trial === null ? null : now,
  };
}
