/**
 * The one table of error codes. A client may build on `code`; `title` is for people and may change.
 * A code is never reused for another meaning.
 */
export const problems = {
  validation_failed: { status: 400, title: "The request does not fit the route's schema" },
  malformed_json: { status: 400, title: "The body is not JSON" },
  cursor_invalid: { status: 400, title: "The cursor was not made by this list" },
  idempotency_key_required: { status: 400, title: "This call needs an Idempotency-Key header" },
  idempotency_key_invalid: { status: 400, title: "The Idempotency-Key header is not usable" },
  signature_invalid: { status: 400, title: "The delivery has no valid signature" },
  unauthenticated: { status: 401, title: "No valid API key was presented" },
  insufficient_balance: { status: 402, title: "The balance has less than the price" },
  insufficient_credits: { status: 402, title: "There is less available than the amount asked for" },
  forbidden: { status: 403, title: "The API key lacks the scope" },
  operator_key_required: { status: 403, title: "Only an operator's API key may do this" },
  workspace_frozen: { status: 403, title: "The workspace is frozen, and takes no writes" },
  workspace_read_only: { status: 403, title: "The workspace is read-only until its subscription is paid" },
  not_found: { status: 404, title: "There is no such thing" },
  route_not_found: { status: 404, title: "There is no such route" },
  method_not_allowed: { status: 405, title: "The route does not answer this method" },
  broadcast_moved_on: { status: 409, title: "The broadcast is in another state" },
  campaign_exists: { status: 409, title: "There is a campaign of this name" },
  checkout_open: { status: 409, title: "Another purchase of a plan is open" },
  endpoint_disabled: { status: 409, title: "The webhook endpoint is disabled" },
  contact_exists: { status: 409, title: "The workspace has that contact already" },
  contact_limit_reached: { status: 409, title: "The workspace has as many contacts as it may" },
  hold_ended: { status: 409, title: "The hold has already ended" },
  idempotency_key_expired: { status: 409, title: "The effect of this key is done and its stored answer has gone" },
  key_moved_on: { status: 409, title: "The access key has moved on meanwhile" },
  no_customer: { status: 409, title: "The workspace has bought nothing yet, and is no customer of the provider's" },
  no_subscription: { status: 409, title: "The workspace has no subscription" },
  payment_settled: { status: 409, title: "The payment is not waiting to be settled" },
  price_not_published: {
    status: 409,
    title: "The provider does not know the price yet; npm run stripe:setup tells it",
  },
  promo_exists: { status: 409, title: "There is a promo code of this name" },
  promo_used: { status: 409, title: "The workspace has used the promo code as often as it may" },
  promo_used_up: { status: 409, title: "The promo code has been used as often as it may" },
  purchase_paid: { status: 409, title: "The purchase is paid by another payment" },
  referral_cycle: { status: 409, title: "The workspace brought its referrer, by others or itself" },
  referral_late: { status: 409, title: "The workspace has paid already" },
  referral_too_deep: { status: 409, title: "There are too many referrers above the workspace" },
  referrer_fixed: { status: 409, title: "The workspace has another referrer already" },
  refund_at_provider: { status: 409, title: "The payment is refunded at its provider" },
  strays_more: { status: 409, title: "More strays wait to be removed than that" },
  subscription_exists: { status: 409, title: "The workspace has a subscription already" },
  sweep_running: { status: 409, title: "The sweep is running" },
  transaction_not_reversible: { status: 409, title: "A transaction of this kind cannot be reversed" },
  transaction_reversed: { status: 409, title: "The transaction has already been reversed" },
  trial_used: { status: 409, title: "The trial was had already" },
  body_too_large: { status: 413, title: "The body is larger than 1 MB" },
  unsupported_media_type: { status: 415, title: "The body must be application/json" },
  amount_exceeds_hold: { status: 422, title: "The amount is more than the hold holds" },
  amount_exceeds_payment: { status: 422, title: "The amount is more than what is left of the payment" },
  amount_too_large: { status: 422, title: "The amount would pass the largest exact integer" },
  balance_limit_exceeded: { status: 422, title: "The balance would pass the largest exact integer" },
  campaign_unknown: { status: 422, title: "There is no such campaign" },
  change_invalid: { status: 422, title: "The subscription cannot be changed so" },
  data_missing: { status: 422, title: "The data lack what a text of the broadcast names" },
  expires_in_past: { status: 422, title: "The expiry is not in the future" },
  idempotency_key_reused: { status: 422, title: "The Idempotency-Key was used for another request" },
  nothing_to_pay: { status: 422, title: "There is nothing to pay; it is bought from the balance" },
  pack_unknown: { status: 422, title: "There is no such pack" },
  plan_unknown: { status: 422, title: "There is no such plan, or no such version of it" },
  price_unknown: { status: 422, title: "It is not sold in that currency and interval" },
  promo_expired: { status: 422, title: "The promo code is not valid at this time" },
  promo_not_for_this: {
    status: 422,
    title: "The promo code is not for this kind of purchase, or not for its currency",
  },
  promo_unknown: { status: 422, title: "There is no such promo code" },
  provider_refused: { status: 422, title: "The payment provider refused; detail is what it said" },
  reference_used: { status: 422, title: "The reference names another payment" },
  referral_self: { status: 422, title: "A workspace cannot be its own referrer" },
  referrer_unknown: { status: 422, title: "There is no such workspace to be the referrer" },
  scope_not_for_workspace: { status: 422, title: "A workspace's key cannot hold the scope" },
  scope_unknown: { status: 422, title: "There is no such scope" },
  template_unknown: { status: 422, title: "Nobody has written a text of this kind for this channel" },
  trial_not_offered: { status: 422, title: "The plan has no trial" },
  url_not_allowed: { status: 422, title: "The URL is not one that a person may be sent to" },
  webhook_url_refused: { status: 422, title: "The URL is not one that events may be sent to; detail says why" },
  internal_error: { status: 500, title: "Tollgate failed" },
  misconfigured: { status: 500, title: "This deployment is misconfigured" },
  database_busy: { status: 503, title: "The database is busy; nothing was done" },
  database_unavailable: { status: 503, title: "The database does not answer" },
  outcome_unknown: { status: 503, title: "The database did not say whether it was done; repeat with the same key" },
  provider_unavailable: { status: 503, title: "The payment provider does not answer; repeat with the same key" },
  provisioner_unavailable: { status: 503, title: "The provisioner does not answer as it should" },
} as const satisfies Record<string, { status: number; title: string }>;

/** A stable error code of the API. */
export type Code = keyof typeof problems;

/** One fault of a request: where it is, and what is wrong there. */
export interface Fault {
  /** The part of the request. */
  in: "body" | "path" | "query" | "header";
  /** JSON pointer (RFC 6901) into the body; only for faults of the body. */
  pointer?: string;
  /** The parameter's or header's name; only for faults outside the body. */
  name?: string;
  /** Stable: `required`, `invalid_type`, `unknown_member`, `too_small`, … */
  code: string;
  detail: string;
}

/** Is this text one of the codes? A routine's refusal that the table lacks is a failure of ours, not a refusal. */
export function isCode(text: string): text is Code {
  return Object.hasOwn(problems, text);
}

/** A refusal or failure with a code. Members beside `detail` and `errors` are what the client needs to act. */
export class Problem extends Error {
  readonly code: Code;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(code: Code, members: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(code, options);
    this.name = "Problem";
    this.code = code;
    this.members = members;
  }
}

/** Names the fields that do not fit: 400 `validation_failed`, at most 20 of them. */
export function invalid(faults: Fault[]): Problem {
  return new Problem("validation_failed", { errors: faults.slice(0, 20) });
}

/**
 * `type` is a name, not an address: a deployment may move to another host, and a client that compares types must not
 * notice. /openapi.json describes each code.
 */
export function problemType(code: Code): string {
  return `urn:tollgate:problem:${code}`;
}

/** Renders RFC 9457 `application/problem+json`. */
export function render(problem: Problem, requestId: string, headers: Headers): Response {
  const { status, title } = problems[problem.code];
  headers.set("Content-Type", "application/problem+json");
  if (status === 401) headers.set("WWW-Authenticate", 'Bearer realm="tollgate"');
  if (typeof problem.members["retry_after"] === "number") {
    headers.set("Retry-After", String(problem.members["retry_after"]));
  }
  const body = {
    type: problemType(problem.code),
    title,
    status,
    code: problem.code,
    request_id: requestId,
    ...problem.members,
  };
  return new Response(JSON.stringify(body), { status, headers });
}
