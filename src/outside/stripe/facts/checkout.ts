import * as z from "zod";
import { absent, amount, currency, id, reference, seconds, word } from "./parts.ts";

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** In ASCII, as Stripe writes one. */
const webUrl = z.string().regex(/^https?:\/\/[!-~]{1,4000}$/);

const session = z.object({
  id,
  customer: absent(reference),
  mode: word,
  status: absent(word),
  payment_status: word,
  payment_intent: absent(reference),
  invoice: absent(reference),
  subscription: absent(reference),
  amount_total: absent(amount),
  currency: absent(currency),
  client_reference_id: absent(z.string()),
  url: absent(webUrl),
  created: seconds,
});

/** What of a checkout session counts. `purchase`: the purchase of ours that it was made for. */
export interface CheckoutFact {
  kind: "checkout";
  /** Null where no event said it: the session was fetched. */
  event: string | null;
  session: string;
  customer: string | null;
  mode: string;
  status: string | null;
  payment_status: string;
  payment_intent: string | null;
  invoice: string | null;
  subscription: string | null;
  amount_total: number | null;
  currency: string | null;
  purchase: string | null;
  /** Where it can be paid; null once it is over. */
  url: string | null;
  created: number;
}

/** Throws ZodError. */
export function checkoutFact(object: unknown, event: string | null): CheckoutFact {
  const { id: session_id, client_reference_id, ...found } = session.parse(object);
  const purchase = client_reference_id !== null && uuid.test(client_reference_id) ? client_reference_id : null;
  return { kind: "checkout", event, session: session_id, ...found, purchase };
}
