import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { cancel } from "./ending.ts";
import { applyPending, pendingOn } from "./pending.ts";

/** What a paid invoice does to its subscription: the latest one makes it active again. */
export function afterPayment(account: Account, subscription: Stripe.Subscription, invoice: Stripe.Invoice): void {
  const pending = pendingOn(account, subscription, invoice);
  if (pending !== undefined) {
    applyPending(account, subscription, pending);
    return;
  }
  const waits = ["incomplete", "past_due", "unpaid"].includes(subscription.status);
  if (waits && subscription.latest_invoice === invoice.id) {
    account.change("customer.subscription.updated", subscription, () => {
      subscription.status = "active";
    });
  }
}

/** What a failed attempt does: past_due while there are more, then what the policy says. */
export function afterFailure(account: Account, subscription: Stripe.Subscription, invoice: Stripe.Invoice): void {
  const counts = ["active", "trialing", "past_due"].includes(subscription.status);
  if (!counts || pendingOn(account, subscription, invoice) !== undefined) {
    return;
  }
  const last = invoice.next_payment_attempt === null;
  const { after_retries: policy } = account.policies;
  if (last && policy === "canceled") {
    cancel(account, subscription, "payment_failed");
    return;
  }
  account.change("customer.subscription.updated", subscription, () => {
    subscription.status = last ? policy : "past_due";
  });
}
