import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { day, periodAt } from "../calendar.ts";
import type { Due } from "../due.ts";
import { idOf } from "../ids.ts";
import { cancel, expireIncomplete, hasEnded } from "./ending.ts";
import { collect, draftInvoice, subscriptionOf } from "./invoices.ts";
import { bill, firstItem, periodLines, rhythmOf } from "./lifecycle.ts";

/** How long a first payment may stay away. */
const incompleteSeconds = 23 * 3600;

/** What comes due of subscriptions and their invoices. */
export function* renewalsDue(account: Account): Generator<Due> {
  for (const subscription of account.state.subscriptions.values()) {
    if (!hasEnded(subscription)) {
      yield* subscriptionDue(account, subscription);
    }
  }
  for (const invoice of account.state.invoices.values()) {
    if (invoice.status === "draft" && invoice.auto_advance === true && invoice.automatically_finalizes_at !== null) {
      yield { at: invoice.automatically_finalizes_at, rank: 3, run: () => collectDraft(account, invoice) };
    } else if (invoice.status === "open" && invoice.next_payment_attempt !== null) {
      yield { at: invoice.next_payment_attempt, rank: 3, run: () => void collect(account, invoice) };
    }
  }
}

function* subscriptionDue(account: Account, subscription: Stripe.Subscription): Generator<Due> {
  const { trial_end: trial, cancel_at: cancelAt, pause_collection: paused, status } = subscription;
  if (status === "incomplete") {
    const at = subscription.created + incompleteSeconds;
    yield { at, rank: 1, run: () => expireIncomplete(account, subscription) };
    return;
  }
  if (cancelAt !== null) {
    yield { at: cancelAt, rank: 1, run: () => cancel(account, subscription, "cancellation_requested") };
  }
  if (paused?.resumes_at != null) {
    yield { at: paused.resumes_at, rank: 1, run: () => unpause(account, subscription) };
  }
  if (status === "paused") {
    return;
  }
  if (status === "trialing" && trial !== null && account.state.announced_trials.get(subscription.id) !== trial) {
    const at = Math.max(trial - 3 * day, subscription.trial_start ?? 0);
    yield { at, rank: 1, run: () => announceTrialEnd(account, subscription, trial) };
  }
  yield { at: firstItem(subscription).current_period_end, rank: 2, run: () => turn(account, subscription) };
}

function unpause(account: Account, subscription: Stripe.Subscription): void {
  account.change("customer.subscription.updated", subscription, () => {
    subscription.pause_collection = null;
  });
}

function announceTrialEnd(account: Account, subscription: Stripe.Subscription, trial: number): void {
  account.state.announced_trials.set(subscription.id, trial);
  account.emit("customer.subscription.trial_will_end", subscription);
}

/** A period ends: a new one begins, and its invoice is made. */
function turn(account: Account, subscription: Stripe.Subscription): void {
  const customer = idOf(subscription.customer) ?? "";
  const missing = subscription.trial_settings?.end_behavior.missing_payment_method;
  const trialEnds = subscription.status === "trialing";
  if (trialEnds && account.state.cards.get(customer) === "missing" && missing !== "create_invoice") {
    if (missing === "pause") {
      pause(account, subscription, "trial_end_without_payment_method");
    } else {
      cancel(account, subscription, "payment_failed");
    }
    return;
  }
  const { current_period_start: from, current_period_end: at } = firstItem(subscription);
  const period = periodAt(subscription.billing_cycle_anchor, rhythmOf(subscription), at);
  const lines = periodLines({ ...subscription, status: "active" }, period);
  let invoice: Stripe.Invoice | undefined;
  account.change("customer.subscription.updated", subscription, () => {
    for (const item of subscription.items.data) {
      item.current_period_start = period.start;
      item.current_period_end = period.end;
    }
    if (trialEnds) {
      subscription.status = "active";
    }
    invoice = draftInvoice(account, {
      subscription,
      reason: "subscription_cycle",
      lines,
      period: { start: from, end: at },
    });
  });
  if (invoice !== undefined) {
    billPeriod(account, subscription, invoice);
  }
}

function billPeriod(account: Account, subscription: Stripe.Subscription, invoice: Stripe.Invoice): void {
  if (subscription.status === "unpaid") {
    // Nobody tries to collect from an unpaid subscription: its invoices pile up as drafts.
    Object.assign(invoice, { auto_advance: false, automatically_finalizes_at: null });
  } else if (account.policies.draft_seconds === 0) {
    bill(account, subscription, invoice);
  }
}

function collectDraft(account: Account, invoice: Stripe.Invoice): void {
  const subscription = subscriptionOf(account, invoice);
  if (subscription !== null) {
    bill(account, subscription, invoice);
  }
}

/** Pauses a subscription itself: its periods stop. */
export function pause(
  account: Account,
  subscription: Stripe.Subscription,
  type: Stripe.Subscription.StatusDetails.Paused.Subscription.Type,
): void {
  account.change("customer.subscription.updated", subscription, () => {
    subscription.status = "paused";
    subscription.status_details = {
      paused: { subscription: { type }, transitioned_at: account.seconds(), type: "subscription" },
    };
  });
  account.emit("customer.subscription.paused", subscription);
}
