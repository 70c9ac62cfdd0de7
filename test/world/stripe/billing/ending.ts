import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { idOf } from "../ids.ts";

/** Whether a subscription has ended, and nothing more will become of it. */
export function hasEnded({ status }: Stripe.Subscription): boolean {
  return status === "canceled" || status === "incomplete_expired";
}

/** Ends a subscription at once. Its open invoices stay, but are not collected any more. */
export function cancel(
  account: Account,
  subscription: Stripe.Subscription,
  reason: Stripe.Subscription.CancellationDetails.Reason,
): void {
  const now = account.seconds();
  const schedule = account.state.schedules.get(idOf(subscription.schedule) ?? "");
  if (schedule !== undefined && (schedule.status === "active" || schedule.status === "not_started")) {
    schedule.status = "canceled";
    schedule.canceled_at = now;
    schedule.current_phase = null;
    account.emit("subscription_schedule.canceled", schedule);
  }
  subscription.status = "canceled";
  subscription.canceled_at ??= now;
  subscription.ended_at = now;
  subscription.schedule = null;
  subscription.cancellation_details = {
    comment: null,
    feedback: null,
    feedback_option: null,
    ...subscription.cancellation_details,
    reason: subscription.cancellation_details?.reason ?? reason,
  };
  for (const invoice of account.state.invoices.values()) {
    if (idOf(invoice.parent?.subscription_details?.subscription) === subscription.id) {
      stopCollecting(account, invoice);
    }
  }
  account.emit("customer.subscription.deleted", subscription);
}

function stopCollecting(account: Account, invoice: Stripe.Invoice): void {
  if (invoice.status === "draft" || invoice.status === "open") {
    account.change("invoice.updated", invoice, () => {
      invoice.auto_advance = false;
      invoice.next_payment_attempt = null;
      invoice.automatically_finalizes_at = null;
    });
  }
}

/** Gives up a subscription whose first payment never came. */
export function expireIncomplete(account: Account, subscription: Stripe.Subscription): void {
  account.change("customer.subscription.updated", subscription, () => {
    subscription.status = "incomplete_expired";
    subscription.ended_at = account.seconds();
  });
  for (const invoice of account.state.invoices.values()) {
    if (invoice.id === subscription.latest_invoice && invoice.status === "open") {
      invoice.status = "void";
      invoice.status_transitions.voided_at = account.seconds();
      account.emit("invoice.voided", invoice);
    }
  }
}
