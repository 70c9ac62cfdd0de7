import type { Stripe } from "stripe";
import { Problem } from "../../http/problem.ts";
import { redact } from "../../http/request.ts";

/**
 * What an error of the package means to a caller. It may pass where nobody answered, Stripe failed, or was busy with the
 * same key: the same call with the same key is then right to repeat. Anything else would be said again.
 */
export function problemOf(error: InstanceType<typeof Stripe.errors.StripeError>): Problem {
  const said = [error.type, error.statusCode, error.code, error.requestId].filter((word) => word !== undefined);
  const cause = new Error(`Stripe: ${said.join(" ")}`, { cause: error });
  if (mayPass(error)) return new Problem("provider_unavailable", { retry_after: 2 }, { cause });
  const members = { detail: redact(error.message).slice(0, 500), provider_code: error.code ?? error.rawType ?? null };
  return new Problem("provider_refused", members, { cause });
}

/** 409: a call with the same key, or on the same object, is in progress. No status: no answer, or none that is JSON. */
function mayPass({ statusCode }: { statusCode?: number | undefined }): boolean {
  return statusCode === undefined || statusCode === 409 || statusCode === 429 || statusCode >= 500;
}
