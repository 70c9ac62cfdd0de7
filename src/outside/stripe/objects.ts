import type { Stripe } from "stripe";
import type { StripeAccount } from "../../env.ts";
import { askFor } from "./client.ts";
import { factOf, type Reading } from "./fact.ts";

type Retrieve = (stripe: Stripe, id: string) => Promise<object>;

const retrievers: Readonly<Record<string, Retrieve>> = {
  cs: (stripe, id) => stripe.checkout.sessions.retrieve(id),
  sub: (stripe, id) => stripe.subscriptions.retrieve(id),
  in: wholeInvoice,
  ch: (stripe, id) => stripe.charges.retrieve(id),
  py: (stripe, id) => stripe.charges.retrieve(id),
  re: (stripe, id) => stripe.refunds.retrieve(id),
  pyr: (stripe, id) => stripe.refunds.retrieve(id),
  du: (stripe, id) => stripe.disputes.retrieve(id),
  dp: (stripe, id) => stripe.disputes.retrieve(id),
  cus: (stripe, id) => stripe.customers.retrieve(id),
};

/**
 * Fetches the object of an event, as it is now and in the package's version, and reads it as the event's. No fact and no
 * fault where Stripe has no such object any more. Throws `Problem`.
 */
export async function fetchFact(account: StripeAccount, type: string, subject: string | null): Promise<Reading> {
  const retrieve = subject === null ? undefined : retrievers[subject.slice(0, subject.indexOf("_"))];
  if (subject === null || retrieve === undefined) {
    return { fact: null, lacks: null, fault: `nobody can fetch ${subject ?? "what has no id"}` };
  }
  const object = await askFor(account, (stripe) => retrieve(stripe, subject));
  return object === null ? { fact: null, lacks: null, fault: null } : factOf(type, object);
}

/** More lines than these no invoice of one plan has. */
const mostLines = 1000;

/** An invoice with all of its lines: Stripe embeds the first ten. */
async function wholeInvoice(stripe: Stripe, id: string): Promise<object> {
  const invoice = await stripe.invoices.retrieve(id, { expand: ["payments"] });
  if (!invoice.lines.has_more) return invoice;
  const data = await stripe.invoices.listLineItems(id, { limit: 100 }).autoPagingToArray({ limit: mostLines });
  return { ...invoice, lines: { data, has_more: false } };
}
