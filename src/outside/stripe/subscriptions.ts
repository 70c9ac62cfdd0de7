import type { Stripe } from "stripe";
import type { StripeAccount } from "../../env.ts";
import { ask, askFor, codeOf } from "./client.ts";
import { type SubscriptionFact, wholeSubscriptionFact, withSchedule } from "./facts/subscription.ts";
import { idOf } from "./reference.ts";

const expanded = { expand: [withSchedule] };

/** How a subscription stands; null where Stripe has none. Throws `Problem`. */
export async function retrieveSubscription(account: StripeAccount, id: string): Promise<SubscriptionFact | null> {
  const found = await askFor(account, (stripe) => stripe.subscriptions.retrieve(id, expanded));
  return found === null ? null : wholeSubscriptionFact(found);
}

/**
 * Each of these changes a subscription and answers how it stands then. `key` names the one change
 * (`tollgate:change:<id>:<generation>`), so that asking again is asking for the same. Throw `Problem`.
 */
interface Change {
  subscription: string;
  key: string;
}

/**
 * Moves to another price now: what is left of the old one is credited, the new one charged, and the invoice is due at once.
 * Until it is paid the old price stands (`pending_if_incomplete`): a card that is refused changes nothing.
 */
export async function upgradeSubscription(
  account: StripeAccount,
  { subscription, key, price, quantity }: Change & { price: string; quantity: number },
): Promise<SubscriptionFact> {
  return changed(account, subscription, (stripe, current) =>
    stripe.subscriptions.update(
      subscription,
      {
        items: [{ id: itemOf(current), price, quantity }],
        proration_behavior: "always_invoice",
        payment_behavior: "pending_if_incomplete",
        ...expanded,
      },
      { idempotencyKey: `${key}:upgrade` },
    ),
  );
}

/** Sets the quantity now; the difference is on the next invoice. */
export async function changeQuantity(
  account: StripeAccount,
  { subscription, key, quantity }: Change & { quantity: number },
): Promise<SubscriptionFact> {
  return changed(account, subscription, (stripe, current) =>
    stripe.subscriptions.update(
      subscription,
      { items: [{ id: itemOf(current), quantity }], proration_behavior: "create_prorations", ...expanded },
      { idempotencyKey: `${key}:quantity` },
    ),
  );
}

/** Lets it end with the period that is paid. */
export async function cancelAtPeriodEnd(
  account: StripeAccount,
  { subscription, key }: Change,
): Promise<SubscriptionFact> {
  return changed(account, subscription, (stripe) =>
    stripe.subscriptions.update(
      subscription,
      { cancel_at_period_end: true, ...expanded },
      { idempotencyKey: `${key}:cancel` },
    ),
  );
}

/** Takes an end that lies ahead away, however it was set. */
export async function uncancel(account: StripeAccount, { subscription, key }: Change): Promise<SubscriptionFact> {
  return changed(account, subscription, (stripe, current) => {
    if (current.cancel_at_period_end) {
      const params = { cancel_at_period_end: false, ...expanded };
      return stripe.subscriptions.update(subscription, params, { idempotencyKey: `${key}:uncancel` });
    }
    if (current.cancel_at === null) return Promise.resolve(current);
    return stripe.subscriptions.update(
      subscription,
      { cancel_at: "", ...expanded },
      { idempotencyKey: `${key}:uncancel:date` },
    );
  });
}

/** Ends it now, and pays nothing back. One that has ended stays as it is. */
export async function cancelNow(account: StripeAccount, subscription: string): Promise<SubscriptionFact> {
  return changed(account, subscription, (stripe, current) => {
    if (over(current.status)) return Promise.resolve(current);
    return endNow(stripe, subscription);
  });
}

/** Ends a subscription; null where Stripe has none. Whoever ends it meanwhile has done the same. */
export async function endNow(stripe: Stripe, subscription: string): Promise<Stripe.Subscription> {
  try {
    return await stripe.subscriptions.cancel(subscription, expanded, {
      idempotencyKey: `tollgate:cancel:${subscription}`,
    });
  } catch (error) {
    if (codeOf(error) !== "resource_missing") throw error;
    const current = await stripe.subscriptions.retrieve(subscription, expanded);
    if (!over(current.status)) throw error;
    return current;
  }
}

/** Has it ended for good? */
export function over(status: string): boolean {
  return status === "canceled" || status === "incomplete_expired";
}

async function changed(
  account: StripeAccount,
  subscription: string,
  change: (stripe: Stripe, current: Stripe.Subscription) => Promise<Stripe.Subscription>,
): Promise<SubscriptionFact> {
  const after = await ask(account, async (stripe) => {
    const current = await stripe.subscriptions.retrieve(subscription, expanded);
    const schedule = idOf(current.schedule);
    // Stripe takes no end and no change of a subscription that a schedule moves; the newest wish stands.
    if (schedule !== null) await release(stripe, schedule);
    return change(stripe, current);
  });
  return wholeSubscriptionFact(after);
}

/** Ends a schedule and leaves its subscription as it is. One that is over stays so. */
export async function release(stripe: Stripe, schedule: string): Promise<void> {
  try {
    await stripe.subscriptionSchedules.release(schedule, {}, { idempotencyKey: `tollgate:release:${schedule}` });
  } catch (error) {
    const { status } = await stripe.subscriptionSchedules.retrieve(schedule);
    if (status === "active" || status === "not_started") throw error;
  }
}

/** The item whose price is the plan's: the first. */
function itemOf(subscription: Stripe.Subscription): string {
  const [item] = subscription.items.data;
  if (item === undefined) throw new Error(`the subscription ${subscription.id} has no item`);
  return item.id;
}
