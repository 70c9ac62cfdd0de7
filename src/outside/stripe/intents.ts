import type { StripeAccount } from "../../env.ts";
import { ask } from "./client.ts";
import { idOf } from "./reference.ts";
import { type DisputeFact, disputeFact, type RefundFact, refundFact } from "./facts/charge.ts";

/** What Stripe knows of a payment intent. */
export interface IntentLinks {
  /** The invoice or the checkout session whose payment it is; null: neither. */
  reference: string | null;
  refunds: RefundFact[];
  disputes: DisputeFact[];
}

const most = { limit: 1000 } as const;

/** Whose payment it is, and what went back of it. One call after the other: see the tick's five. Throws `Problem`. */
export async function linksOf(account: StripeAccount, payment_intent: string): Promise<IntentLinks> {
  return ask(account, async (stripe) => {
    const payment = { type: "payment_intent", payment_intent } as const;
    const [paid] = (await stripe.invoicePayments.list({ payment, limit: 1 })).data;
    let reference = idOf(paid?.invoice);
    reference ??= (await stripe.checkout.sessions.list({ payment_intent, limit: 1 })).data[0]?.id ?? null;
    const refunds = await stripe.refunds.list({ payment_intent, limit: 100 }).autoPagingToArray(most);
    const disputes = await stripe.disputes.list({ payment_intent, limit: 100 }).autoPagingToArray(most);
    return { reference, refunds: refunds.map(refundFact), disputes: disputes.map(disputeFact) };
  });
}
