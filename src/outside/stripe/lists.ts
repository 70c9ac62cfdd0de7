import type { StripeAccount } from "../../env.ts";
import { askFor } from "./client.ts";
import { type SubscriptionFact, wholeSubscriptionFact, withSchedule } from "./facts/subscription.ts";
import { secondsOf } from "../instant.ts";

/** A page of a list; `next` is where the next one begins, null at the end. */
export interface StripePage<Member> {
  data: Member[];
  next: string | null;
}

/**
 * Events, which Stripe keeps for 30 days, each as parsed JSON, newest first; between two instants of the database's. Null
 * where Stripe does not have the event any more that the page would begin after. Throws `Problem`.
 */
export async function listEvents(
  account: StripeAccount,
  { since, until, after }: { since: string; until: string; after: string | null },
): Promise<StripePage<object> | null> {
  const created = { gte: secondsOf(since), lte: secondsOf(until) };
  const found = await askFor(account, (stripe) => stripe.events.list({ created, ...place(after) }));
  return found === null ? null : page(found);
}

/**
 * Subscriptions that are not canceled, newest first; null as above. Those that are would only grow in number: whoever still has
 * one for living asks for it by its id.
 */
export async function listSubscriptions(
  account: StripeAccount,
  after: string | null,
): Promise<StripePage<SubscriptionFact> | null> {
  const question = { expand: [`data.${withSchedule}`], ...place(after) };
  const found = await askFor(account, (stripe) => stripe.subscriptions.list(question));
  if (found === null) return null;
  const { data, next } = page(found);
  return { data: data.map(wholeSubscriptionFact), next };
}

function place(after: string | null): { limit: 100; starting_after?: string } {
  return { limit: 100, ...(after === null ? {} : { starting_after: after }) };
}

function page<Member extends { id: string }>({ data, has_more }: { data: Member[]; has_more: boolean }) {
  return { data, next: has_more ? (data.at(-1)?.id ?? null) : null };
}
