import type Stripe from "stripe";
import type { Account } from "../account.ts";
import type { PendingChange } from "../state.ts";

/** How long a change waits for its payment, if its period does not end before. */
const patienceSeconds = 23 * 3600;

/** The change that waits for an invoice to be paid; undefined when none does. */
export function pendingOn(
  account: Account,
  subscription: Stripe.Subscription,
  invoice: Stripe.Invoice,
): PendingChange | undefined {
  const pending = account.state.pending_changes.get(subscription.id);
  return pending?.invoice === invoice.id ? pending : undefined;
}

/** Shows on a subscription what would be, once it is paid. */
export function showPending(account: Account, subscription: Stripe.Subscription, pending: PendingChange): void {
  const anchor = pending.billing_cycle_anchor;
  const ends = subscription.items.data.map(({ current_period_end: end }) => end);
  account.change("customer.subscription.updated", subscription, () => {
    subscription.pending_update = {
      billing_cycle_anchor: anchor === subscription.billing_cycle_anchor ? null : anchor,
      cancel_at_period_end: null,
      discount: null,
      discounts: null,
      expires_at: Math.min(account.seconds() + patienceSeconds, ...ends),
      metadata: null,
      subscription_items: pending.items,
      trial_end: null,
      trial_from_plan: null,
    };
  });
}

/** The invoice was paid: the change takes effect. */
export function applyPending(account: Account, subscription: Stripe.Subscription, pending: PendingChange): void {
  const waited = subscription.pending_update !== null;
  account.state.pending_changes.delete(subscription.id);
  account.change("customer.subscription.updated", subscription, () => {
    subscription.items.data = pending.items;
    subscription.billing_cycle_anchor = pending.billing_cycle_anchor;
    subscription.pending_update = null;
  });
  if (waited) {
    account.emit("customer.subscription.pending_update_applied", subscription);
  }
}
