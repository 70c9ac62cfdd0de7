import type { StripeAccount } from "../../env.ts";
import { ask } from "./client.ts";

/**
 * Where a customer sees invoices and changes the card; `key` names the request that asks, for a link is not to be used
 * twice. Throws `Problem`.
 */
export async function createPortal(
  account: StripeAccount,
  { customer, return_url, key }: { customer: string; return_url: string; key: string },
): Promise<{ url: string }> {
  const session = await ask(account, (stripe) =>
    stripe.billingPortal.sessions.create({ customer, return_url }, { idempotencyKey: `tollgate:portal:${key}` }),
  );
  return { url: session.url };
}
