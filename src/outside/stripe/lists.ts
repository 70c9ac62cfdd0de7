import type { StripeAccount } from "../../env.ts";
import { ask } from "./client.ts";
import { type SubscriptionFact, subscriptionFact } from "./facts/subscription.ts";
import { secondsOf } from "./instant.ts";

/** A page of a list; `next` is where the next one begins, null at the end. */
export interface StripePage<Member> {
  data: Member[];
  next: string | null;
}

/** Events as Stripe keeps them for 30 days, each as parsed JSON, newest first; between two instants of the database's. */
export async function listEvents(
  account: StripeAccount,
  { since, until, after }: { since: string; until: string; after: string | null },
): Promise<StripePage<object>> {
  const created = { gte: secondsOf(since), lte: secondsOf(until) };
  return page(await ask(account, (stripe) => stripe.events.list({ created, ...place(after) })));
}

/** Subscriptions in every state, newest first. */
export async function listSubscriptions(
  account: StripeAccount,
  after: string | null,
): Promise<StripePage<SubscriptionFact>> {
  const { data, next } = page(
    await ask(account, (stripe) => stripe.subscriptions.list({ status: "all", ...place(after) })),
  );
  return { data: data.map((object) => subscriptionFact(object, "updated")), next };
}

/** Customers, newest first; those that were deleted are not in Stripe's list. */
export async function listCustomers(account: StripeAccount, after: string | null): Promise<StripePage<string>> {
  const { data, next } = page(await ask(account, (stripe) => stripe.customers.list(place(after))));
  return { data: data.map(({ id }) => id), next };
}

function place(after: string | null): { limit: 100; starting_after?: string } {
  return { limit: 100, ...(after === null ? {} : { starting_after: after }) };
}

function page<Member extends { id: string }>({ data, has_more }: { data: Member[]; has_more: boolean }) {
  return { data, next: has_more ? (data.at(-1)?.id ?? null) : null };
}
