import { call } from "../db/call.ts";
import type { AppContext } from "../http/context.ts";
import { Problem } from "../http/problem.ts";
import { stripeOf } from "../outside/account.ts";
import { expireCheckout, findCheckout } from "../outside/stripe/checkout.ts";
import { customerOf, getPurchase } from "./reads.ts";
import { beginCancel, syncCheckoutCall } from "./store.ts";

/**
 * Makes a purchase impossible to pay: its session is expired at Stripe, and what Stripe says of it then is written. One that
 * was paid meanwhile is paid; one that is over stays as it is. What is asked for is written down first, so that it is
 * `canceled` whoever hears of the end first. Refuses `not_found`.
 */
export async function cancelPurchase(c: AppContext, workspace: string, id: string) {
  const asked = await beginCancel(c, workspace, id);
  if (asked.state === "pending") {
    const session = asked.session_id ?? (await unwrittenSession(c, workspace, id));
    const fact = session === null ? null : await expireCheckout(stripeOf(c), session);
    await call(c.get("database"), syncCheckoutCall, { id, fact }, c.get("trace"));
  }
  const after = await getPurchase(c, workspace, id, "billing:write");
  if (after === null) throw new Problem("not_found");
  // Somebody is making its session just now: it is not ended before that is known.
  if (after.state === "pending" && after.session_id === null)
    throw new Problem("provider_unavailable", { retry_after: 5 });
  return after.shown;
}

/** The session that somebody made for the purchase and died before writing down; null: there is none. */
async function unwrittenSession(c: AppContext, workspace: string, id: string): Promise<string | null> {
  const customer = await customerOf(c, workspace);
  if (customer === null) return null;
  return (await findCheckout(stripeOf(c), { purchase: id, customer }))?.session ?? null;
}
