import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { periodAt } from "../calendar.ts";
import { declined } from "../failure.ts";
import { idOf } from "../ids.ts";
import { bill, draftUpdate, periodLines, rhythmOf } from "./lifecycle.ts";
import { cardOutcome } from "./payments.ts";
import { changesPay, creditFor, prorationLines } from "./proration.ts";
import type { ItemChange } from "./proration.ts";

/** How a change of items is billed. */
export interface ChangeTerms {
  proration: Stripe.SubscriptionSchedule.Phase.ProrationBehavior;
  /** As of when the proration counts, in seconds. */
  at: number;
  /** Whether the billing period begins anew. */
  reset?: boolean;
  /** Refuse the change, by a 402, when it cannot be paid at once. */
  refuse_unpaid?: boolean;
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
  const trialing = subscription.status === "trialing";
  const bills = ["active", "past_due"].includes(subscription.status) && changes.some(changesPay);
  const reset = !trialing && (terms.reset === true || (bills && beginsAnew(before, after)));
  const immediate = reset || (bills && terms.proration === "always_invoice");
  const credits = terms.proration === "none" ? [] : before;
  if (terms.refuse_unpaid === true && immediate && cardOutcome(account, idOf(subscription.customer)) === "fails") {
    throw declined();
  }
  const lines = reset
    ? credits.map((item) => creditFor(subscription, item, terms.at))
    : bills && terms.proration !== "none"
      ? prorationLines(subscription, changes, terms.at)
      : [];
  let invoice: Stripe.Invoice | undefined;
  account.change("customer.subscription.updated", subscription, () => {
    subscription.items.data = after;
    if (reset) {
      const period = beginPeriod(account, subscription);
      lines.push(...periodLines(subscription, period));
    }
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
