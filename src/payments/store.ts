import * as z from "zod";
import { call } from "../db/call.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import { identityHash } from "../http/credential.ts";
import { instant } from "../http/time.ts";
import type { checkoutBody } from "./checkout-model.ts";
import { kind, state } from "./model.ts";
import { orderArguments } from "./order.ts";

const text = z.string().nullable();

/** A purchase, and what its caller is to do for it: who has a token makes what the token is for, and nobody else does. */
const started = z.object({
  id: z.string(),
  kind,
  state,
  url: text,
  session_id: text,
  price_provider_id: text,
  quantity: z.int(),
  mode: z.enum(["subscription", "payment"]),
  trial_days: z.int(),
  success_url: z.string(),
  cancel_url: z.string(),
  expires_at: instant,
  created_at: instant,
  customer_id: text,
  customer_number: z.int().nullable(),
  customer_token: text,
  search_customer: z.boolean().nullable(),
  session_token: text,
  amount_minor: z.int(),
  session_currency: z.string(),
  discounted: z.boolean(),
  name: z.string(),
  search_session: z.boolean().nullable(),
});

/** What `payments.start_checkout` and `payments.claim_checkout` answer. */
export type Started = z.infer<typeof started>;

/** What is bought, as `orderArguments` says it. */
export const orderArgs = {
  plan_code: text,
  plan_number: z.int().nullable(),
  pack_code: text,
  currency: z.string(),
  interval_unit: text,
  interval_count: z.int().nullable(),
  quantity: z.int(),
  promo_code: text,
};

const startCheckoutCall = routine({
  name: "payments.start_checkout",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({
    ...orderArgs,
    success_url: z.string(),
    cancel_url: z.string(),
    topup_minor: z.int().nullable(),
    collection: z.string(),
    auto_renew: z.boolean(),
    identity_hash: text,
    provider: z.string(),
  }),
  result: started,
});

const claimCheckoutCall = routine({
  name: "payments.claim_checkout",
  context: {},
  args: z.strictObject({ id: z.string() }),
  result: started,
});

const recordCustomerCall = routine({
  name: "payments.record_customer",
  context: {},
  args: z.strictObject({ workspace_id: z.string(), number: z.int(), token: z.string(), customer: z.string() }),
  result: z.object({ workspace_id: z.string(), customer: z.string() }),
});

const recordSessionCall = routine({
  name: "payments.record_session",
  context: {},
  args: z.strictObject({
    id: z.string(),
    token: z.string(),
    session_id: z.string(),
    url: text,
    expires_at: z.string(),
  }),
  result: z.object({ id: z.string(), state, url: text, session_id: text, expires_at: instant }),
});

/** What the provider says of a session is written to its purchase; null: it has no such session. */
export const syncCheckoutCall = routine({
  name: "payments.sync_checkout",
  context: {},
  args: z.strictObject({ id: z.string(), fact: z.unknown(), asked_at: text }),
  result: z.object({ id: z.string(), state, session_id: text }),
});

const cancelPurchaseCall = routine({
  name: "payments.cancel_purchase",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({ id: z.string() }),
  result: z.object({ id: z.string(), state, session_id: text, provider: z.string() }),
});

const abandonCheckoutCall = routine({
  name: "payments.abandon_checkout",
  context: {},
  args: z.strictObject({ id: z.string(), token: z.string() }),
  result: z.object({ id: z.string(), state }),
});

/** Every routine that this store calls, for the contract test. */
export const calls = [
  startCheckoutCall,
  claimCheckoutCall,
  recordCustomerCall,
  recordSessionCall,
  syncCheckoutCall,
  cancelPurchaseCall,
  abandonCheckoutCall,
];

/**
 * Begins a purchase, or answers the one of this plan that is open. Refuses what is not sold so, what `quote` does, `nothing_to_pay`, `price_not_published`,
 * `subscription_exists`, `checkout_open` (with the purchase of another plan that is open), `workspace_frozen`, and `workspace_read_only` of all but a plan for a workspace whose last one is over.
 */
export async function startCheckout(c: AppContext, workspace: string, body: z.infer<typeof checkoutBody>) {
  return write(c, {
    routine: startCheckoutCall,
    args: {
      ...orderArguments(body),
      success_url: body.success_url,
      cancel_url: body.cancel_url,
      topup_minor: body.topup_minor ?? null,
      collection: body.collection ?? "stripe",
      auto_renew: body.auto_renew ?? true,
      provider: body.provider,
      identity_hash: body.identity === undefined ? null : await identityHash(body.identity),
    },
    scope: "billing:write",
    workspace,
  });
}

/** The purchase as it is now, with the tokens that nobody else holds. */
export async function claimCheckout(c: AppContext, id: string) {
  return call(c.get("database"), claimCheckoutCall, { id }, c.get("trace"));
}

/** Keeps the customer that was made under the token; answers the one that stands, whoever made it. */
export async function recordCustomer(c: AppContext, made: z.infer<typeof recordCustomerCall.args>) {
  return (await call(c.get("database"), recordCustomerCall, made, c.get("trace"))).customer;
}

/** Keeps the session that was made under the token; answers what stands. */
export async function recordSession(c: AppContext, made: z.infer<typeof recordSessionCall.args>) {
  return call(c.get("database"), recordSessionCall, made, c.get("trace"));
}

/** Writes down that a purchase is to be cancelled; answers how it stands, and which session is to be ended. Refuses `not_found`. */
export async function beginCancel(c: AppContext, workspace: string, id: string) {
  return write(c, { routine: cancelPurchaseCall, args: { id }, scope: "billing:write", workspace });
}

/** Ends a purchase whose session Stripe refused to make under this token. */
export async function abandonCheckout(c: AppContext, id: string, token: string): Promise<void> {
  await call(c.get("database"), abandonCheckoutCall, { id, token }, c.get("trace"));
}
