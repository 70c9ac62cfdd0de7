import type { Stripe } from "stripe";
import type { StripeAccount } from "../../env.ts";
import { problemOf } from "./failure.ts";

/** One attempt; a person waits for some of these calls. */
const timeout_ms = 10_000;

const clients = new WeakMap<StripeAccount, Stripe>();

/** The package. It is evaluated when first asked for: a request that does not need it does not wait for it. */
export async function stripePackage(): Promise<typeof Stripe> {
  const { Stripe } = await import("stripe");
  return Stripe;
}

/** One client an account: it holds the key and the address, and nothing of a request. */
function makeClient(Package: typeof Stripe, account: StripeAccount): Stripe {
  const known = clients.get(account);
  if (known !== undefined) return known;
  const base = account.api_base === null ? null : new URL(account.api_base);
  const made = new Package(account.secret_key, {
    httpClient: Package.createFetchHttpClient(),
    timeout: timeout_ms,
    maxNetworkRetries: 1,
    telemetry: false,
    ...(base === null ? {} : { protocol: "http", host: base.hostname, port: base.port }),
  });
  clients.set(account, made);
  return made;
}

/** Asks Stripe. Throws `Problem`: `provider_unavailable` or `provider_refused`. */
export async function ask<Answer>(
  account: StripeAccount,
  question: (stripe: Stripe) => Promise<Answer>,
): Promise<Answer> {
  const Package = await stripePackage();
  try {
    return await question(makeClient(Package, account));
  } catch (error) {
    throw error instanceof Package.errors.StripeError ? problemOf(error) : error;
  }
}

/** As `ask`; null where Stripe has no such thing. */
export async function askFor<Answer>(
  account: StripeAccount,
  question: (stripe: Stripe) => Promise<Answer>,
): Promise<Answer | null> {
  return ask(account, async (stripe) => {
    try {
      return await question(stripe);
    } catch (error) {
      if (codeOf(error) === "resource_missing") return null;
      throw error;
    }
  });
}

/** Stripe's own code of an error, where it has one. */
export function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}
