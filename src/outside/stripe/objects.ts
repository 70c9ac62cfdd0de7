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

/** Fetches the object of an event, as it is now and in the package's version, and reads it as the event's. Throws `Problem`. */
export async function fetchFact(account: StripeAccount, type: string, subject: string): Promise<Reading> {
  const retrieve = retrievers[subject.slice(0, subject.indexOf("_"))];
  if (retrieve === undefined) return { fact: null, lacks: null, fault: `nobody fetches ${subject}` };
  const object = await askFor(account, (stripe) => retrieve(stripe, subject));
  if (object === null) return { fact: null, lacks: null, fault: `Stripe has no ${subject}` };
  return factOf(type, object);
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
