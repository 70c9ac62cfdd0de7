import type { Stripe } from "stripe";
import type { StripeAccount } from "../../env.ts";
import { ask, askFor, codeOf } from "./client.ts";
import { idOf } from "./reference.ts";
import { endNow, over } from "./subscriptions.ts";

/** Two live subscriptions of one workspace have few invoices; this many are an accident that a person must look at. */
const mostInvoices = 100;

/**
 * Undoes a subscription that should not have been bought: it ends, and what its invoices took goes back. Each step may
 * have been done before. Throws `Problem`.
 */
export async function undoSubscription(account: StripeAccount, subscription: string): Promise<void> {
  const found = await askFor(account, (stripe) => stripe.subscriptions.retrieve(subscription));
  if (found === null) return;
  await ask(account, async (stripe) => {
    if (!over(found.status)) await endNow(stripe, subscription);
    const paid = { subscription, status: "paid", limit: 100 } as const;
    for (const invoice of await stripe.invoices.list(paid).autoPagingToArray({ limit: mostInvoices })) {
      if (invoice.amount_paid > 0) await refundInvoice(stripe, invoice.id);
    }
  });
}

async function refundInvoice(stripe: Stripe, invoice: string): Promise<void> {
  const { data } = await stripe.invoicePayments.list({ invoice, status: "paid", limit: 100 });
  for (const { payment } of data) {
    const [intent, charge] = [idOf(payment.payment_intent), idOf(payment.charge)];
    if (intent !== null) await refund(stripe, { payment_intent: intent }, intent);
    else if (charge !== null) await refund(stripe, { charge }, charge);
  }
}

/** All that is left of a payment. Stripe forgets the key after a day, and then says that nothing is left. */
async function refund(stripe: Stripe, of: { payment_intent: string } | { charge: string }, name: string) {
  try {
    await stripe.refunds.create({ ...of, reason: "duplicate" }, { idempotencyKey: `tollgate:undo:${name}` });
  } catch (error) {
    if (codeOf(error) !== "charge_already_refunded") throw error;
  }
}
