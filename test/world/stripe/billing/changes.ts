import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { periodAt } from "../calendar.ts";
import type { Due } from "../due.ts";
import { declined } from "../failure.ts";
import { idOf } from "../ids.ts";
import { voidInvoice } from "./invoices.ts";
import { bill, draftUpdate, periodLines, rhythmOf } from "./lifecycle.ts";
import { cardOutcome } from "./payments.ts";
import { showPending } from "./pending.ts";
import { changesPay, creditFor, prorationLines } from "./proration.ts";
import type { ItemChange } from "./proration.ts";

/** How a change of items is billed. */
export interface ChangeTerms {
  proration: Stripe.SubscriptionSchedule.Phase.ProrationBehavior;
  /** As of when the proration counts, in seconds. */
  at: number;
  /** Whether the billing period begins anew. */
  reset?: boolean;
  /** What becomes of a change that cannot be paid at once: it is made all the same, refused by a 402, or waits. */
  unpaid?: "allow_incomplete" | "error_if_incomplete" | "pending_if_incomplete";
  /** What else of the subscription changes with it, so that one event tells of all. */
  along?: (subscription: Stripe.Subscription) => void;
}

/**
 * Changes the items of a subscription. A period of another length, and the step from free to paid, begin a new period
 * and are billed at once, whatever the proration behaviour says.
 */
export function changeItems(
  account: Account,
  subscription: Stripe.Subscription,
  changes: ItemChange[],
  terms: ChangeTerms,
): void {
  const before = changes.flatMap((change) => change.before ?? []);
  const after = changes.flatMap((change) => change.after ?? []);
  const bills = ["active", "past_due"].includes(subscription.status) && changes.some(changesPay);
  const reset = subscription.status !== "trialing" && (terms.reset === true || (bills && beginsAnew(before, after)));
  const immediate = reset || (bills && terms.proration === "always_invoice");
  const declines = immediate && cardOutcome(account, idOf(subscription.customer)) !== "succeeds";
  if (terms.unpaid === "error_if_incomplete" && declines) {
    throw declined();
  }
  dropPending(account, subscription);
  // What the subscription will be: what it is billed by, while it is not yet so.
  const next = structuredClone({ ...subscription, items: { ...subscription.items, data: after } });
  const lines = reset
    ? (terms.proration === "none" ? [] : before).map((item) => creditFor(subscription, item, terms.at))
    : bills && terms.proration !== "none"
      ? prorationLines(subscription, changes, terms.at)
      : [];
  if (reset) {
    lines.push(...periodLines(next, beginPeriod(account, next)));
  }
  if (immediate && terms.unpaid === "pending_if_incomplete") {
    changeOncePaid(account, subscription, next, lines);
    return;
  }
  let invoice: Stripe.Invoice | undefined;
  account.change("customer.subscription.updated", subscription, () => {
    subscription.items.data = next.items.data;
    subscription.billing_cycle_anchor = next.billing_cycle_anchor;
    subscription.cancel_at = next.cancel_at;
    terms.along?.(subscription);
    if (immediate) {
      invoice = draftUpdate(account, subscription, lines);
    }
  });
  if (invoice !== undefined) {
    bill(account, subscription, invoice);
    return;
  }
  for (const line of lines) {
    account.state.pending_lines.set(line.id, line);
  }
}

/** Bills a change first, and makes it when that is paid. */
function changeOncePaid(
  account: Account,
  subscription: Stripe.Subscription,
  next: Stripe.Subscription,
  lines: Stripe.InvoiceLineItem[],
): void {
  const invoice = draftUpdate(account, subscription, lines);
  const { billing_cycle_anchor } = next;
  const pending = { invoice: invoice.id, items: next.items.data, billing_cycle_anchor };
  account.state.pending_changes.set(subscription.id, pending);
  bill(account, subscription, invoice);
  if (account.state.pending_changes.has(subscription.id)) {
    showPending(account, subscription, pending);
  }
}

/** Forgets a change that waits for its payment, and voids its invoice. */
function dropPending(account: Account, subscription: Stripe.Subscription): void {
  const invoice = account.state.invoices.get(account.state.pending_changes.get(subscription.id)?.invoice ?? "");
  account.state.pending_changes.delete(subscription.id);
  if (invoice?.status === "open") {
    voidInvoice(account, invoice);
  }
  if (subscription.pending_update !== null) {
    account.change("customer.subscription.updated", subscription, () => {
      subscription.pending_update = null;
    });
  }
}

/** What comes due of changes that wait for their payment: their end. */
export function* pendingDue(account: Account): Generator<Due> {
  for (const subscription of account.state.subscriptions.values()) {
    if (subscription.pending_update !== null) {
      const run = (): void => {
        dropPending(account, subscription);
        account.emit("customer.subscription.pending_update_expired", subscription);
      };
      yield { at: subscription.pending_update.expires_at, rank: 0, run };
    }
  }
}

/** Begins a new billing period now. */
export function beginPeriod(account: Account, subscription: Stripe.Subscription): { start: number; end: number } {
  const now = account.seconds();
  subscription.billing_cycle_anchor = now;
  const period = periodAt(now, rhythmOf(subscription), now);
  for (const item of subscription.items.data) {
    item.current_period_start = period.start;
    item.current_period_end = period.end;
  }
  if (subscription.cancel_at_period_end) {
    subscription.cancel_at = period.end;
  }
  return period;
}

function beginsAnew(before: Stripe.SubscriptionItem[], after: Stripe.SubscriptionItem[]): boolean {
  const [old, now] = [before[0]?.price.recurring, after[0]?.price.recurring];
  const free = before.every(({ price }) => price.unit_amount === 0);
  return (
    old?.interval !== now?.interval ||
    old?.interval_count !== now?.interval_count ||
    (free && after.some(({ price }) => (price.unit_amount ?? 0) > 0))
  );
}
