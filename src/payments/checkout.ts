import type * as z from "zod";
import { permitted } from "../db/read.ts";
import { settings, type StripeAccount } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import { Problem } from "../http/problem.ts";
import { btcpayOf, stripeOf } from "../outside/account.ts";
import { createCheckout, expireCheckout } from "../outside/stripe/checkout.ts";
import { createCustomer, findCustomer } from "../outside/stripe/customers.ts";
import { createPortal } from "../outside/stripe/portal.ts";
import { makeInvoice } from "./crypto.ts";
import type { checkoutBody } from "./checkout-model.ts";
import { refusePlaces } from "./places.ts";
import { customerOf } from "./reads.ts";
import { abandonCheckout, claimCheckout, recordCustomer, recordSession, type Started, startCheckout } from "./store.ts";

/** How long a caller waits for another one that makes the same customer or session; a lease is longer than any call of a provider's. */
const patience_ms = 8_000;

/** Makes what the row lacks and this caller may make; null: another one is at it. */
type Make = (row: Started, token: string | null) => Promise<Started | null>;

/**
 * Sends a workspace to pay. The purchase is written first, under the request's key; then whoever holds the customer's token
 * makes the customer, and whoever holds the session's the session, each under a key of Stripe's that is made from what it is
 * for (at BTCPay, which has no keys, after looking for it). So a repeat makes nothing twice, and where this dies half-way the
 * next caller goes on from there.
 * Throws `url_not_allowed`, `provider_refused`, `provider_unavailable`, `misconfigured`, and what `startCheckout` refuses.
 */
export async function checkout(c: AppContext, workspace: string, body: z.infer<typeof checkoutBody>) {
  const places = { success_url: body.success_url, cancel_url: body.cancel_url };
  const make = await admitted(c, workspace, places, body.provider === "btcpay" ? atBtcpay : atStripe);
  const begun = await startCheckout(c, workspace, body);
  // The tokens of an answer that is replayed were another request's.
  const current = c.get("trace").replayed ? await claimCheckout(c, begun.id) : begun;
  return shownCheckout(await finish(c, current, make(workspace)));
}

/** Sends a workspace to its portal. Throws `no_customer`, and as `checkout` does. */
export async function portal(c: AppContext, workspace: string, return_url: string) {
  const account = await admitted(c, workspace, { return_url }, stripeOf);
  const customer = await customerOf(c, workspace);
  if (customer === null) throw new Problem("no_customer");
  return createPortal(account, { customer, return_url, key: c.get("requestId") });
}

/** The provider's part, for whoever may ask, to come back to where it is allowed: the key's refusal comes before these. */
async function admitted<Part>(
  c: AppContext,
  workspace: string,
  places: Readonly<Record<string, string>>,
  partOf: (c: AppContext) => Part,
): Promise<Part> {
  try {
    refusePlaces(places, settings(c.env).checkout_origins);
    return partOf(c);
  } catch (error) {
    await permitted(c, { scope: "billing:write", workspace });
    throw error;
  }
}

function atStripe(c: AppContext): (workspace: string) => Make {
  const account = stripeOf(c);
  return (workspace) => async (row, token) => {
    const customer = row.customer_id ?? (await makeCustomer(c, account, workspace, row));
    return customer === null || token === null ? null : makeSession(c, account, workspace, { ...row, customer, token });
  };
}

function atBtcpay(c: AppContext): (workspace: string) => Make {
  const account = btcpayOf(c);
  return (workspace) => async (row, token) =>
    token === null ? null : makeInvoice(c, account, workspace, { ...row, token });
}

/** Makes what the row lacks and this caller holds the token for; waits for what others make. */
async function finish(c: AppContext, begun: Started, make: Make): Promise<Started> {
  const until = Date.now() + patience_ms;
  let row = begun;
  let token = begun.session_token;
  for (let turn = 0; ; turn += 1) {
    if (row.state !== "pending" || row.session_id !== null) return row;
    const made = await make(row, token);
    if (made !== null) return made;
    if (Date.now() >= until) throw new Problem("provider_unavailable", { retry_after: 5 });
    await pause(turn);
    row = await claimCheckout(c, begun.id);
    // A token that this caller has is not given again, to it or to anybody, while its lease runs.
    token = row.session_token ?? token;
  }
}

/** The workspace's customer, where this caller is the one to make it; null: another one is at it. */
async function makeCustomer(
  c: AppContext,
  account: StripeAccount,
  workspace: string,
  row: Started,
): Promise<string | null> {
  const number = row.customer_number;
  if (row.customer_token === null || number === null) return null;
  // Stripe may have forgotten the key by now, but not the customer that was made under it.
  const found = row.search_customer === true ? await findCustomer(account, workspace) : null;
  const customer = found ?? (await createCustomer(account, workspace, number));
  return recordCustomer(c, { workspace_id: workspace, number, token: row.customer_token, customer });
}

async function makeSession(
  c: AppContext,
  account: StripeAccount,
  workspace: string,
  row: Started & { customer: string; token: string },
): Promise<Started> {
  // What has no price of its own at Stripe is one piece of what it comes to: a top-up, a discounted pack, one period of a plan.
  const whole = row.discounted || row.kind === "balance_topup";
  if (row.price_provider_id === null && !whole) throw new Problem("price_not_published");
  const order = {
    purchase: row.id,
    workspace,
    customer: row.customer,
    mode: row.mode,
    price:
      row.price_provider_id === null || whole
        ? { amount_minor: row.amount_minor, currency: row.session_currency, name: row.name }
        : row.price_provider_id,
    quantity: whole ? 1 : row.quantity,
    trial_days: row.trial_days,
    success_url: row.success_url,
    cancel_url: row.cancel_url,
    expires_at: row.expires_at,
  };
  const made = await createCheckout(account, order).catch(async (error: unknown) => {
    // Stripe keeps a refusal under the key: this purchase can never be paid, and must not stand in the way of another.
    if (error instanceof Problem && error.code === "provider_refused") await abandonCheckout(c, row.id, row.token);
    throw error;
  });
  const stands = await recordSession(c, { id: row.id, token: row.token, ...made });
  // The purchase was ended while its session was made: nobody may pay that one.
  if (stands.session_id !== made.session_id) await expireCheckout(account, made.session_id);
  return { ...row, ...stands };
}

function shownCheckout({ id, kind, state, url, quantity, expires_at, created_at }: Started) {
  return { id, kind, state, url: state === "pending" ? url : null, quantity, expires_at, created_at };
}

/** Half of it fixed and half by chance, doubling from 100 ms to 1.6 s: those who wait for one do not come all at once. */
function pause(turn: number): Promise<void> {
  const most = 100 * 2 ** Math.min(turn, 4);
  return new Promise((resolve) => setTimeout(resolve, (most * (1 + Math.random())) / 2));
}
