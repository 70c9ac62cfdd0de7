import { call } from "../db/call.ts";
import type { AppContext } from "../http/context.ts";
import { Problem } from "../http/problem.ts";
import { btcpayOf, stripeOf } from "../outside/account.ts";
import { endInvoice, invoicesOf } from "../outside/btcpay/invoices.ts";
import { expireCheckout, findCheckout } from "../outside/stripe/checkout.ts";
import { customerOf, getPurchase } from "./reads.ts";
import { beginCancel, syncCheckoutCall } from "./store.ts";

/**
 * Makes a purchase impossible to pay: its session is expired at Stripe, its invoice ended at BTCPay, and what is said of it then is
 * written. One that was paid meanwhile is paid; one that is over stays as it is, and so does one for which money is on its way. What
 * is asked for is written down first, so that it is `canceled` whoever hears of the end first. Refuses `not_found`.
 */
export async function cancelPurchase(c: AppContext, workspace: string, id: string) {
  const asked = await beginCancel(c, workspace, id);
  if (asked.state === "pending") {
    const facts = asked.provider === "btcpay" ? await endAtBtcpay(c, id) : await endAtStripe(c, workspace, id, asked);
    const say = (fact: object | null) =>
      call(c.get("database"), syncCheckoutCall, { id, fact, asked_at: null }, c.get("trace"));
    let own = asked.session_id;
    for (const fact of facts) own = (await say(fact)).session_id;
    // Anybody may have named an invoice so: the purchase has none for that.
    if (facts.length === 0 || (asked.provider === "btcpay" && own === null)) await say(null);
  }
  const after = await getPurchase(c, workspace, id, "billing:write");
  if (after === null) throw new Problem("not_found");
  // Somebody is making its session just now: it is not ended before that is known.
  if (after.state === "pending" && after.session_id === null)
    throw new Problem("provider_unavailable", { retry_after: 5 });
  return after.shown;
}

async function endAtStripe(
  c: AppContext,
  workspace: string,
  id: string,
  { session_id }: { session_id: string | null },
): Promise<object[]> {
  const session = session_id ?? (await unwrittenSession(c, workspace, id));
  const fact = session === null ? null : await expireCheckout(stripeOf(c), session);
  return fact === null ? [] : [fact];
}

async function endAtBtcpay(c: AppContext, id: string): Promise<object[]> {
  const account = btcpayOf(c);
  const ended: object[] = [];
  for (const { invoice } of await invoicesOf(account, id)) {
    const fact = await endInvoice(account, invoice);
    if (fact !== null) ended.push(fact);
  }
  return ended;
}

/** The session that somebody made for the purchase and died before writing down; null: there is none. */
async function unwrittenSession(c: AppContext, workspace: string, id: string): Promise<string | null> {
  const customer = await customerOf(c, workspace);
  if (customer === null) return null;
  return (await findCheckout(stripeOf(c), { purchase: id, customer }))?.session ?? null;
}
