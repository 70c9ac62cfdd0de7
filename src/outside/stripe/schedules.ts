import type { Stripe } from "stripe";
import type { StripeAccount } from "../../env.ts";
import { ask } from "./client.ts";
import { type SubscriptionFact, wholeSubscriptionFact, withSchedule } from "./facts/subscription.ts";
import { idOf } from "./reference.ts";
import { release } from "./subscriptions.ts";

/**
 * Moves a subscription to another price when its paid period ends, by a schedule of two phases: what is, until then; and
 * the new price, with which the schedule lets go. Answers the schedule and how the subscription stands. Throws `Problem`.
 */
export async function scheduleChange(
  account: StripeAccount,
  { subscription, key, price, quantity }: { subscription: string; key: string; price: string; quantity: number },
): Promise<{ schedule_id: string; fact: SubscriptionFact }> {
  return ask(account, async (stripe) => {
    const current = await stripe.subscriptions.retrieve(subscription);
    const schedule = await scheduleOf(stripe, current, key);
    const phase = schedule.phases.find(({ start_date }) => start_date === schedule.current_phase?.start_date);
    if (phase === undefined) throw new Error(`the schedule ${schedule.id} has no phase now`);
    await stripe.subscriptionSchedules.update(
      schedule.id,
      {
        end_behavior: "release",
        proration_behavior: "none",
        phases: [
          phaseAsItIs(phase, current),
          { ...kept(phase), items: [{ price, quantity }], proration_behavior: "none", ...aMoment },
        ],
      },
      { idempotencyKey: `${key}:phases` },
    );
    const after = await stripe.subscriptions.retrieve(subscription, { expand: [withSchedule] });
    return { schedule_id: schedule.id, fact: wholeSubscriptionFact(after) };
  });
}

/** Long enough to be a phase: at its end the schedule lets the subscription go, with the price that it has then. */
const aMoment = { duration: { interval: "day", interval_count: 1 } } as const;

/** Takes a planned change back: the subscription stays with what it has. Throws `Problem`. */
export async function releaseSchedule(
  account: StripeAccount,
  { subscription, schedule }: { subscription: string; schedule: string },
): Promise<SubscriptionFact> {
  return ask(account, async (stripe) => {
    await release(stripe, schedule);
    return wholeSubscriptionFact(await stripe.subscriptions.retrieve(subscription, { expand: [withSchedule] }));
  });
}

async function scheduleOf(
  stripe: Stripe,
  current: Stripe.Subscription,
  key: string,
): Promise<Stripe.SubscriptionSchedule> {
  if (current.schedule === null) {
    const from = { from_subscription: current.id };
    return stripe.subscriptionSchedules.create(from, { idempotencyKey: `${key}:schedule` });
  }
  return typeof current.schedule === "string"
    ? stripe.subscriptionSchedules.retrieve(current.schedule)
    : current.schedule;
}

/** What of a phase a change of price leaves as it is: Stripe takes away what a phase does not name. */
function kept({ discounts, default_tax_rates, automatic_tax }: Stripe.SubscriptionSchedule.Phase) {
  const reductions = discounts.flatMap(({ discount, coupon }) => {
    const [kept_discount, kept_coupon] = [idOf(discount), idOf(coupon)];
    if (kept_discount !== null) return { discount: kept_discount };
    return kept_coupon === null ? [] : { coupon: kept_coupon };
  });
  const rates = (default_tax_rates ?? []).map(({ id }) => id);
  return {
    ...(reductions.length === 0 ? {} : { discounts: reductions }),
    ...(rates.length === 0 ? {} : { default_tax_rates: rates }),
    ...(automatic_tax?.enabled === true ? { automatic_tax: { enabled: true } } : {}),
  };
}

/** The phase that runs, written as Stripe takes it. Its end is the end of the period, and of a trial that is in it. */
function phaseAsItIs(
  phase: Stripe.SubscriptionSchedule.Phase,
  current: Stripe.Subscription,
): Stripe.SubscriptionScheduleUpdateParams.Phase {
  const [item] = current.items.data;
  return {
    ...kept(phase),
    start_date: phase.start_date,
    end_date: item?.current_period_end ?? phase.end_date,
    proration_behavior: "none",
    ...(phase.trial_end === null ? {} : { trial_end: phase.trial_end }),
    items: phase.items.map(({ price, quantity }) => ({
      price: idOf(price) ?? "",
      ...(quantity === undefined ? {} : { quantity }),
    })),
  };
}
