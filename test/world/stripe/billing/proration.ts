import type Stripe from "stripe";
import { lineOf } from "./invoice-shape.ts";

/** An item as it is to be, beside what it was; an item that is new or goes has one side only. */
export interface ItemChange {
  before: Stripe.SubscriptionItem | null;
  after: Stripe.SubscriptionItem | null;
}

function amountOf({ price, quantity = 1 }: Stripe.SubscriptionItem): number {
  return (price.unit_amount ?? 0) * quantity;
}

/** Whether a change touches what is paid. */
export function changesPay({ before, after }: ItemChange): boolean {
  return before?.price.id !== after?.price.id || before?.quantity !== after?.quantity;
}

/** What is given back for the rest of a period that was paid: by the second, as Stripe counts. */
export function creditFor(
  subscription: Stripe.Subscription,
  item: Stripe.SubscriptionItem,
  at: number,
): Stripe.InvoiceLineItem {
  return lineOf({
    subscription,
    item,
    amount: -restOf(item, item, at),
    description: `Unused time on ${named(item)}`,
    period: { start: at, end: item.current_period_end },
    proration: true,
  });
}

/** The lines by which changed items are made right for the rest of their period. */
export function prorationLines(
  subscription: Stripe.Subscription,
  changes: ItemChange[],
  at: number,
): Stripe.InvoiceLineItem[] {
  return changes.filter(changesPay).flatMap(({ before, after }) => {
    const lines: Stripe.InvoiceLineItem[] = [];
    const period = before ?? after;
    if (period === null || at >= period.current_period_end) {
      return [];
    }
    if (before !== null) {
      lines.push(creditFor(subscription, before, at));
    }
    if (after !== null) {
      lines.push(
        lineOf({
          subscription,
          item: after,
          amount: restOf(after, period, at),
          description: `Remaining time on ${named(after)}`,
          period: { start: at, end: period.current_period_end },
          proration: true,
        }),
      );
    }
    return lines;
  });
}

function restOf(
  item: Stripe.SubscriptionItem,
  { current_period_start: start, current_period_end: end }: Stripe.SubscriptionItem,
  at: number,
): number {
  const left = Math.min(1, Math.max(0, (end - at) / (end - start)));
  return Math.round(amountOf(item) * left);
}

function named({ price, quantity = 1 }: Stripe.SubscriptionItem): string {
  return `${quantity} × ${price.nickname ?? price.lookup_key ?? price.id}`;
}
