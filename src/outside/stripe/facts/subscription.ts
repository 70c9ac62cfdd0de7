import * as z from "zod";
import { absent, id, reference, seconds, word } from "./parts.ts";

const item = z.object({
  price: z.object({ id }),
  quantity: absent(z.int().min(0)),
  current_period_start: seconds,
  current_period_end: seconds,
});

/** A schedule that was expanded: what will be, and when. */
const schedule = z.object({
  id,
  current_phase: absent(z.object({ start_date: seconds })),
  phases: z.array(z.object({ start_date: seconds, items: z.array(z.object({ price: reference })) })),
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
  schedule: absent(z.union([id, schedule])),
  pause_collection: z.unknown().optional(),
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
  /** Only where the schedule was asked for: the price that it will move to (null: to none), and when. */
  next_price?: string | null;
  next_price_at?: number | null;
}

/** What a question is asked with, so that its answer's fact says what a schedule will do. */
export const withSchedule = "schedule";

/** As `subscriptionFact`, of an object that was asked for `withSchedule`. Throws ZodError. */
export function wholeSubscriptionFact(object: unknown): SubscriptionFact {
  const { schedule: plan } = subscription.pick({ schedule: true }).parse(object);
  const fact = subscriptionFact(object, "updated");
  if (plan === null || typeof plan === "string") return { ...fact, next_price: null, next_price_at: null };
  const now = plan.current_phase?.start_date ?? 0;
  const next = plan.phases
    .filter((phase) => phase.start_date > now)
    .toSorted((a, b) => a.start_date - b.start_date)
    .find((phase) => phase.items[0]?.price !== fact.price);
  return { ...fact, next_price: next?.items[0]?.price ?? null, next_price_at: next?.start_date ?? null };
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
    schedule: typeof found.schedule === "object" ? (found.schedule?.id ?? null) : found.schedule,
    paused: found.pause_collection !== null && found.pause_collection !== undefined,
    created: found.created,
  };
}
