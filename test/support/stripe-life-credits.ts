import type { LifePlan } from "./stripe-life.ts";

/** What is subscribed to. */
export interface LifePrice {
  plan: LifePlan;
  every: "month" | "year";
}

/** A paid invoice of a subscription: what it was for, and of what part of the period. */
export interface Paid {
  invoice: string;
  reason: string;
  created: number;
  starts: number;
  ends: number;
  price: LifePrice;
  /** What a change left. */
  from: LifePrice | null;
  part: number;
}

/** How much of a period is left at a moment of it. */
export function partOf(now: number, starts: number, ends: number): number {
  return (ends - now) / (ends - starts);
}

/**
 * The credits that paid invoices leave in each pool, told once each in their own order and with nothing spent: each period
 * takes the place of the last, of which as much rolls over as the cap has room for; a change raises its period by what it
 * includes above the most that the period has included so far.
 */
export function creditsOf(paid: readonly Paid[], rollover_cap: number | null): Record<string, number> {
  let [rollover, subscription] = [0, 0];
  let [included, raised] = [0, 0];
  const whole = () => subscription + Math.floor(Math.round(raised * 1e6) / 1e6);
  for (const { reason, price, from, part } of inOrder(paid)) {
    if (reason === "subscription_update") {
      // A change of interval begins a period of its own.
      if (from !== null && from.every !== price.every) included = from.plan.included;
      const most = Math.max(included, from?.plan.included ?? 0);
      raised += part * Math.max(0, price.plan.included - most);
      included = Math.max(included, price.plan.included);
    } else {
      if (rollover_cap !== null) rollover = Math.max(rollover, Math.min(rollover + whole(), rollover_cap));
      subscription = price.plan.included;
      included = subscription;
      raised = 0;
    }
  }
  return Object.fromEntries(Object.entries({ rollover, subscription: whole() }).filter(([, amount]) => amount > 0));
}

/** By the periods that they are for; a period comes before a change of the same second. */
function inOrder(paid: readonly Paid[]): Paid[] {
  return paid.toSorted(
    (a, b) =>
      a.starts - b.starts || Number(a.reason === "subscription_update") - Number(b.reason === "subscription_update"),
  );
}
