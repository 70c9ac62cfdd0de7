import * as z from "zod";
import { absent, amount, currency, id, list, reference, seconds, word } from "./parts.ts";

const origin = absent(z.object({ proration: z.boolean(), subscription: absent(reference) }));

const line = z
  .object({
    amount: z.int(),
    period: z.object({ start: seconds, end: seconds }),
    pricing: absent(z.object({ price_details: absent(z.object({ price: reference })) })),
    parent: absent(z.object({ subscription_item_details: origin, invoice_item_details: origin })),
    subscription: absent(reference),
  })
  .transform(({ amount: billed, period, pricing, parent, subscription }) => {
    const from = parent?.subscription_item_details ?? parent?.invoice_item_details ?? null;
    return {
      amount: billed,
      start: period.start,
      end: period.end,
      price: pricing?.price_details?.price ?? null,
      proration: from?.proration ?? false,
      subscription: from?.subscription ?? subscription,
    };
  });

type Line = z.infer<typeof line>;
/** A line that bills a price of ours. */
type Priced = Line & { price: string };

const payment = z.object({ payment: absent(z.object({ payment_intent: absent(reference) })) });

const invoice = z.object({
  id,
  customer: absent(reference),
  parent: absent(z.object({ subscription_details: absent(z.object({ subscription: absent(reference) })) })),
  billing_reason: absent(word),
  amount_paid: amount,
  amount_due: amount,
  currency,
  created: seconds,
  status_transitions: absent(z.object({ paid_at: absent(seconds) })),
  lines: list(line),
  payments: absent(list(payment)),
});

/** What of an invoice counts: whose it is, what was paid, and which price of which period it bills. */
export interface InvoiceFact {
  kind: "invoice";
  event: string;
  invoice: string;
  customer: string | null;
  subscription: string | null;
  billing_reason: string | null;
  amount_paid: number;
  amount_due: number;
  currency: string;
  created: number;
  paid_at: number;
  price: string | null;
  from_price: string | null;
  /** A change that changed nothing but begins a period: a trial that was ended early, a pause that was. */
  begins: boolean;
  starts_at: number | null;
  ends_at: number | null;
  payment_intents: string[];
}

/**
 * Null where an answer needs lines that the object does not carry: Stripe embeds ten, and an invoice with many prorations
 * has its subscription's line behind them. Throws ZodError.
 */
export function invoiceFact(object: unknown, event: string): InvoiceFact | null {
  const found = invoice.parse(object);
  const subscription = found.parent?.subscription_details?.subscription ?? null;
  const lines = found.lines.data
    .filter((billed): billed is Priced => billed.price !== null)
    .filter((billed) => subscription !== null && billed.subscription === subscription);
  const change = found.billing_reason === "subscription_update";
  const [to, from] = change ? changed(lines) : [lines.find(({ proration }) => !proration) ?? null, null];
  if (found.lines.has_more === true && subscription !== null && (change || to === null)) return null;
  return {
    kind: "invoice",
    event,
    invoice: found.id,
    customer: found.customer,
    subscription,
    billing_reason: found.billing_reason,
    amount_paid: found.amount_paid,
    amount_due: found.amount_due,
    currency: found.currency,
    created: found.created,
    paid_at: found.status_transitions?.paid_at ?? found.created,
    price: to?.price ?? null,
    from_price: from?.price ?? null,
    begins: change && to !== null && !to.proration && to.amount > 0 && from === null,
    starts_at: to?.start ?? null,
    ends_at: to?.end ?? null,
    payment_intents: (found.payments?.data ?? []).flatMap((paid) => paid.payment?.payment_intent ?? []),
  };
}

/**
 * The lines of a change: what it changed to, and from. Changes of quantity that were not billed yet stand on the same
 * invoice, so the latest counts, and of those of one moment the one whose price the other side lacks. What a plan for
 * nothing is charged or credited is nothing: such a line is the side that the others leave open.
 */
function changed(lines: Priced[]): [Priced | null, Priced | null] {
  const prorations = lines.filter(({ proration }) => proration);
  const charged = prorations.filter((billed) => billed.amount > 0);
  const credited = prorations.filter((billed) => billed.amount < 0);
  const free = prorations.filter((billed) => billed.amount === 0);
  const fresh = lines.find(({ proration }) => !proration) ?? null;
  const from = latest(credited, charged);
  const to = latest(charged, credited) ?? fresh ?? besides(from, free);
  return [to, from ?? besides(to, free)];
}

/** The latest line of another price than the known side's; null where no side is known. */
function besides(known: Priced | null, lines: Priced[]): Priced | null {
  if (known === null) return null;
  return latest(
    lines.filter(({ price }) => price !== known.price),
    [],
  );
}

function latest(lines: Priced[], others: Priced[]): Priced | null {
  const prices = new Set(others.map(({ price }) => price));
  const byTime = lines.toSorted(
    (a, b) => b.start - a.start || Number(prices.has(a.price)) - Number(prices.has(b.price)),
  );
  return byTime[0] ?? null;
}
