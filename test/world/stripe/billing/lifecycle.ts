import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { periodAt } from "../calendar.ts";
import type { Rhythm } from "../calendar.ts";
import { invalid } from "../failure.ts";
import { idOf } from "../ids.ts";
import { lineOf } from "./invoice-shape.ts";
import { collect, draftInvoice, finalize, voidInvoice } from "./invoices.ts";
import type { Outcome } from "./payments.ts";
import { subscriptionShape } from "./subscription-shape.ts";
import type { SubscriptionWish } from "./subscription-shape.ts";

/** The first item of a subscription; each has one. */
export function firstItem(subscription: Stripe.Subscription): Stripe.SubscriptionItem {
  const [item] = subscription.items.data;
  if (item === undefined) {
    throw new Error(`Subscription ${subscription.id} has no item.`);
  }
  return item;
}

/** How often a subscription renews; all its items have the same rhythm. */
export function rhythmOf(subscription: Stripe.Subscription): Rhythm {
  const { recurring } = firstItem(subscription).price;
  if (recurring === null) {
    throw new Error(`Subscription ${subscription.id} has a price that does not recur.`);
  }
  return recurring;
}

/** Lines for a whole period of a subscription's. */
export function periodLines(
  subscription: Stripe.Subscription,
  period: { start: number; end: number },
): Stripe.InvoiceLineItem[] {
  return subscription.items.data.map((item) => {
    const quantity = item.quantity ?? 1;
    const trial = subscription.status === "trialing";
    const rate = `${((item.price.unit_amount ?? 0) / 100).toFixed(2)} / ${item.price.recurring?.interval}`;
    return lineOf({
      subscription,
      item,
      amount: trial ? 0 : (item.price.unit_amount ?? 0) * quantity,
      description: trial ? "Trial period" : `${quantity} × ${idOf(item.price.product)} (at ${rate})`,
      period,
    });
  });
}

/**
 * Starts a subscription and tries to collect its first invoice. It is announced as incomplete, and as active once that is
 * paid: with Checkout, Stripe's `created` event shows a subscription that is not yet active.
 */
export function start(account: Account, wish: SubscriptionWish, outcome?: Outcome): Stripe.Subscription {
  const now = account.seconds();
  const [first] = wish.items;
  if (first?.price.recurring === null || first === undefined) {
    throw invalid("Missing required param: items.", "items", "parameter_missing");
  }
  const { interval, interval_count: count } = first.price.recurring;
  const mixed = wish.items.some(
    ({ price }) => price.recurring?.interval !== interval || price.recurring.interval_count !== count,
  );
  if (mixed || wish.items.some(({ price }) => price.currency !== first.price.currency)) {
    throw invalid("All prices on a subscription must have the same currency and billing interval.", "items");
  }
  const period =
    wish.trial_end === null ? periodAt(now, first.price.recurring, now) : { start: now, end: wish.trial_end };
  const subscription = subscriptionShape(account, wish, period);
  account.state.subscriptions.set(subscription.id, subscription);
  const customer = account.find(account.state.customers, "customer", wish.customer, "customer");
  customer.currency ??= subscription.currency;
  const invoice = draftInvoice(account, {
    subscription,
    reason: "subscription_create",
    lines: periodLines(subscription, period),
    period: { start: now, end: now },
  });
  account.emit("customer.subscription.created", subscription);
  finalize(account, invoice);
  collect(account, invoice, outcome);
  if (outcome === "processing" && subscription.status === "incomplete") {
    // A delayed payment is trusted until it fails.
    account.change("customer.subscription.updated", subscription, () => {
      subscription.status = "active";
    });
  }
  return subscription;
}

/** The draft of the invoice that an immediate change of a subscription makes. */
export function draftUpdate(
  account: Account,
  subscription: Stripe.Subscription,
  lines: Stripe.InvoiceLineItem[],
): Stripe.Invoice {
  const now = account.seconds();
  return draftInvoice(account, {
    subscription,
    reason: "subscription_update",
    lines,
    period: { start: now, end: now },
  });
}

/** Finalizes a draft and collects it, unless collection is paused. */
export function bill(account: Account, subscription: Stripe.Subscription, invoice: Stripe.Invoice): void {
  if (subscription.pause_collection !== null) {
    withhold(account, subscription, invoice);
    return;
  }
  finalize(account, invoice);
  collect(account, invoice);
}

/** What becomes of an invoice while collection is paused. */
function withhold(account: Account, subscription: Stripe.Subscription, invoice: Stripe.Invoice): void {
  const behavior = subscription.pause_collection?.behavior;
  if (behavior === "keep_as_draft" && invoice.status === "draft") {
    Object.assign(invoice, { auto_advance: false, automatically_finalizes_at: null });
    return;
  }
  if (invoice.status === "draft") {
    finalize(account, invoice);
  }
  if (behavior === "void") {
    voidInvoice(account, invoice);
  } else {
    invoice.status = "uncollectible";
    invoice.status_transitions.marked_uncollectible_at = account.seconds();
    account.emit("invoice.marked_uncollectible", invoice);
  }
}
