import * as z from "zod";
import { absent, id, reference, seconds, word } from "./parts.ts";

const item = z.object({
  price: z.object({ id }),
  quantity: absent(z.int().min(0)),
  current_period_start: seconds,
  current_period_end: seconds,
});

const subscription = z.object({
  id,
  customer: reference,
  status: word,
  items: z.object({ data: z.tuple([item], item) }),
  trial_end: absent(seconds),
  cancel_at: absent(seconds),
  cancel_at_period_end: z.boolean(),
  canceled_at: absent(seconds),
  ended_at: absent(seconds),
  schedule: absent(reference),
  pause_collection: z.unknown(),
  created: seconds,
});

/** What of a subscription counts; times are Stripe's, in Unix seconds. */
export interface SubscriptionFact {
  kind: "subscription";
  event: string;
  subscription: string;
  customer: string;
  status: string;
  price: string;
  quantity: number;
  current_period_start: number;
  current_period_end: number;
  trial_end: number | null;
  cancel_at: number | null;
  canceled_at: number | null;
  ended_at: number | null;
  schedule: string | null;
  paused: boolean;
  created: number;
}

/** Of several items the first counts: Tollgate sells one plan a subscription. Throws ZodError. */
export function subscriptionFact(object: unknown, event: string): SubscriptionFact {
  const found = subscription.parse(object);
  const [sold] = found.items.data;
  return {
    kind: "subscription",
    event,
    subscription: found.id,
    customer: found.customer,
    status: found.status,
    price: sold.price.id,
    quantity: sold.quantity ?? 1,
    current_period_start: sold.current_period_start,
    current_period_end: sold.current_period_end,
    trial_end: found.trial_end,
    cancel_at: found.cancel_at ?? (found.cancel_at_period_end ? sold.current_period_end : null),
    canceled_at: found.canceled_at,
    ended_at: found.ended_at,
    schedule: found.schedule,
    paused: found.pause_collection !== null && found.pause_collection !== undefined,
    created: found.created,
  };
}
