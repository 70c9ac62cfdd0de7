import type { Stripe } from "stripe";
import { Problem } from "../../http/problem.ts";
import { stripePackage } from "./client.ts";

/** Seconds that a delivery's signature is good for, both ways. */
const tolerance = 300;

let provider: InstanceType<typeof Stripe.CryptoProvider> | undefined;

/**
 * The JSON of a delivery whose signature one of the secrets made over these very bytes, not long ago and not in the
 * future. Throws `Problem`: `signature_invalid`, and `validation_failed` for what was signed and is no event.
 */
export async function verifiedEvent(
  bytes: Uint8Array,
  header: string | null,
  secrets: readonly string[],
): Promise<unknown> {
  if (header === null || !timely(header)) throw new Problem("signature_invalid");
  const Package = await stripePackage();
  provider ??= Package.createSubtleCryptoProvider();
  let refusal: unknown;
  for (const secret of secrets) {
    try {
      return await Package.webhooks.constructEventAsync(bytes, header, secret, tolerance, provider);
    } catch (error) {
      if (!(error instanceof Package.errors.StripeSignatureVerificationError)) throw noEvent(error);
      refusal = error;
    }
  }
  throw new Problem("signature_invalid", {}, { cause: refusal });
}

/** The signature was right: whoever sent it may send events. It is only looked at after that. */
export function noEvent(cause?: unknown): Problem {
  const fault = { in: "body", pointer: "", code: "not_an_event", detail: "it is signed, and no event of the API v1" };
  return new Problem("validation_failed", { errors: [fault] }, { cause });
}

/** The package refuses what is old and lets pass what is dated ahead: whoever once saw a secret could sign for next year. */
function timely(header: string): boolean {
  const times = header.split(",").flatMap((part) => /^t=(\d{1,12})$/.exec(part)?.[1] ?? []);
  return times.length === 1 && Number(times[0]) - Date.now() / 1000 <= tolerance;
}
