import type Stripe from "stripe";
import type { Account } from "../account.ts";
import type { Due } from "../due.ts";
import { idOf } from "../ids.ts";
import { changeItems } from "./changes.ts";
import { cancel } from "./ending.ts";
import { firstItem } from "./lifecycle.ts";
import type { ItemChange } from "./proration.ts";
import { itemShape, planOf } from "./subscription-shape.ts";

type Phase = Stripe.SubscriptionSchedule.Phase;

/** The subscription that a schedule governs; null when it has ended. */
export function governed(account: Account, schedule: Stripe.SubscriptionSchedule): Stripe.Subscription | null {
  return account.state.subscriptions.get(idOf(schedule.subscription) ?? "") ?? null;
}

/** The phase that a schedule is in. */
export function currentPhase(schedule: Stripe.SubscriptionSchedule): Phase | undefined {
  return schedule.phases.find(({ start_date: start }) => start === schedule.current_phase?.start_date);
}

/** Makes a subscription what a phase says. What it is already is not billed. */
export function applyPhase(account: Account, subscription: Stripe.Subscription, phase: Phase): void {
  const { current_period_start: start, current_period_end: end, price: oldPrice } = firstItem(subscription);
  const left = [...subscription.items.data];
  const changes: ItemChange[] = phase.items.map((wish) => {
    const price = account.find(account.state.prices, "price", idOf(wish.price) ?? "", "phases");
    const same = left.findIndex((item) => item.price.id === price.id);
    // A price that takes another's place keeps the item, as when one item is moved from plan to plan.
    const [before = null] = left.splice(same === -1 ? 0 : same, 1);
    const quantity = wish.quantity ?? 1;
    const after =
      before === null
        ? itemShape(account, subscription.id, price, quantity, { start, end })
        : { ...before, price: structuredClone(price), plan: planOf(price), quantity };
    return { before, after };
  });
  changes.push(...left.map((before) => ({ before, after: null })));
  const along = (changed: Stripe.Subscription): void => {
    changed.metadata = { ...changed.metadata, ...phase.metadata };
  };
  const now = account.seconds();
  if (now < end) {
    changeItems(account, subscription, changes, { proration: phase.proration_behavior, at: now, along });
    return;
  }
  // At a period's end nothing is left to be prorated: the renewal, which comes next, takes the new prices.
  account.change("customer.subscription.updated", subscription, () => {
    subscription.items.data = changes.flatMap(({ after }) => after ?? []);
    const { recurring } = firstItem(subscription).price;
    const sameRhythm =
      recurring?.interval === oldPrice.recurring?.interval &&
      recurring?.interval_count === oldPrice.recurring?.interval_count;
    if (!sameRhythm) {
      subscription.billing_cycle_anchor = now;
    }
    along(subscription);
  });
}

/** Lets a subscription go on by itself. */
export function release(account: Account, schedule: Stripe.SubscriptionSchedule): void {
  const subscription = governed(account, schedule);
  schedule.status = "released";
  schedule.released_at = account.seconds();
  schedule.released_subscription = idOf(schedule.subscription);
  schedule.subscription = null;
  schedule.current_phase = null;
  account.emit("subscription_schedule.released", schedule);
  if (subscription !== null) {
    account.change("customer.subscription.updated", subscription, () => {
      subscription.schedule = null;
    });
  }
}

/** The current phase of a schedule ends: the next begins, or the schedule does what it does at its end. */
function turnPhase(account: Account, schedule: Stripe.SubscriptionSchedule): void {
  const subscription = governed(account, schedule);
  const next = schedule.phases.find(({ start_date: start }) => start === schedule.current_phase?.end_date);
  if (next !== undefined && subscription !== null) {
    account.change("subscription_schedule.updated", schedule, () => {
      schedule.current_phase = { start_date: next.start_date, end_date: next.end_date };
    });
    applyPhase(account, subscription, next);
  } else if (schedule.end_behavior === "cancel" && subscription !== null) {
    schedule.status = "completed";
    schedule.completed_at = account.seconds();
    schedule.current_phase = null;
    account.emit("subscription_schedule.completed", schedule);
    cancel(account, subscription, "cancellation_requested");
  } else {
    release(account, schedule);
  }
}

/** What comes due of schedules: the ends of their phases. */
export function* schedulesDue(account: Account): Generator<Due> {
  for (const schedule of account.state.schedules.values()) {
    if (schedule.status === "active" && schedule.current_phase !== null) {
      yield { at: schedule.current_phase.end_date, rank: 1, run: () => turnPhase(account, schedule) };
    }
  }
}
