import { call } from "../db/call.ts";
import type { AppContext } from "../http/context.ts";
import { Problem } from "../http/problem.ts";
import { stripeOf } from "../outside/account.ts";
import { expireCheckout } from "../outside/stripe/checkout.ts";
import { getPurchase } from "./reads.ts";
import { syncCheckoutCall } from "./store.ts";

/**
 * Makes a purchase impossible to pay: its session is expired at Stripe, and what Stripe says of it then is written. One that
 * was paid meanwhile is paid; one that is over stays as it is. Refuses `not_found`.
 */
export async function cancelPurchase(c: AppContext, workspace: string, id: string) {
  const before = await getPurchase(c, workspace, id);
  if (before === null) throw new Problem("not_found");
  if (before.state !== "pending") return before.shown;
  const fact = before.session_id === null ? null : await expireCheckout(stripeOf(c), before.session_id);
  await call(c.get("database"), syncCheckoutCall, { id, fact }, c.get("trace"));
  const after = await getPurchase(c, workspace, id);
  if (after === null) throw new Problem("not_found");
  // Somebody is making its session just now: it is not ended before that is known.
  if (after.state === "pending" && after.session_id === null)
    throw new Problem("provider_unavailable", { retry_after: 5 });
  return after.shown;
}
