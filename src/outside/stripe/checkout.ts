import type { StripeAccount } from "../../env.ts";
import { ask, askFor } from "./client.ts";
import { type CheckoutFact, checkoutFact } from "./facts/checkout.ts";
import { instantOf, secondsOf } from "../instant.ts";

/** What a checkout is made of: the purchase's row, so that whoever comes again asks for the same. */
export interface CheckoutOrder {
  /** The purchase's id: the session's name on both sides. */
  purchase: string;
  workspace: string;
  customer: string;
  mode: "subscription" | "payment";
  /** The price's id at Stripe; or what it comes to in all, and what it is called, where Stripe has no such price. */
  price: string | { amount_minor: number; currency: string; name: string };
  quantity: number;
  /** 0: no trial. */
  trial_days: number;
  success_url: string;
  cancel_url: string;
  /** An instant, as the database wrote it; Stripe wants between 30 minutes and 24 hours from now. */
  expires_at: string;
}

/** Where a person pays, and until when. */
export interface CheckoutSession {
  session_id: string;
  /** Null once it is over: an old call's answer may say so. */
  url: string | null;
  expires_at: string;
}

/** Makes the session of a purchase, the same for as long as it can be paid. Throws `Problem`. */
export async function createCheckout(account: StripeAccount, order: CheckoutOrder): Promise<CheckoutSession> {
  const metadata = { tollgate_purchase: order.purchase, tollgate_workspace: order.workspace };
  const trial = order.trial_days > 0 ? { trial_period_days: order.trial_days } : {};
  const session = await ask(account, (stripe) =>
    stripe.checkout.sessions.create(
      {
        mode: order.mode,
        customer: order.customer,
        client_reference_id: order.purchase,
        line_items: [{ ...lineOf(order.price), quantity: order.quantity }],
        success_url: order.success_url,
        cancel_url: order.cancel_url,
        expires_at: secondsOf(order.expires_at),
        metadata,
        ...(order.mode === "subscription"
          ? { subscription_data: { metadata, ...trial } }
          : { payment_intent_data: { metadata } }),
      },
      { idempotencyKey: `tollgate:checkout:${order.purchase}` },
    ),
  );
  return { session_id: session.id, url: session.url, expires_at: instantOf(session.expires_at) };
}

function lineOf(price: CheckoutOrder["price"]) {
  if (typeof price === "string") return { price };
  const { amount_minor: unit_amount, currency, name } = price;
  return { price_data: { currency, unit_amount, product_data: { name } } };
}

/**
 * Ends a session, so that it cannot be paid any more, and answers how it stands: one that was paid meanwhile says so. Null
 * where Stripe has no such session. Throws `Problem`.
 */
export async function expireCheckout(account: StripeAccount, session: string): Promise<CheckoutFact | null> {
  const before = await retrieveCheckout(account, session);
  if (before === null || before.status !== "open") return before;
  const after = await ask(account, async (stripe) => {
    try {
      return await stripe.checkout.sessions.expire(session, {}, { idempotencyKey: `tollgate:expire:${session}` });
    } catch (error) {
      // It was paid, or ran out, between the two calls; how it stands decides.
      const now = await stripe.checkout.sessions.retrieve(session);
      if (now.status === "open") throw error;
      return now;
    }
  });
  return checkoutFact(after, null);
}

/** How a session stands; null where Stripe has none. Throws `Problem`. */
export async function retrieveCheckout(account: StripeAccount, session: string): Promise<CheckoutFact | null> {
  const found = await askFor(account, (stripe) => stripe.checkout.sessions.retrieve(session));
  return found === null ? null : checkoutFact(found, null);
}

/**
 * The session that was made for a purchase, by whoever died before writing it down; null where there is none among the
 * customer's newest. Throws `Problem`.
 */
export async function findCheckout(
  account: StripeAccount,
  { purchase, customer }: { purchase: string; customer: string },
): Promise<CheckoutFact | null> {
  const { data } = await ask(account, (stripe) => stripe.checkout.sessions.list({ customer, limit: 100 }));
  const found = data.find(({ client_reference_id }) => client_reference_id === purchase);
  return found === undefined ? null : checkoutFact(found, null);
}
