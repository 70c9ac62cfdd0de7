import * as z from "zod";
import { localEndpoint, optional } from "./form.ts";

/** The operator's account at Stripe. */
export interface StripeAccount {
  readonly secret_key: string;
  /** Whether the key moves real money: what comes from the other mode is not ours. */
  readonly live: boolean;
  /** Those that an event may be signed with: two while one is rolled, none where none was configured. */
  readonly webhook_secrets: readonly string[];
  /** Where Stripe is, on the local stack only; null: where Stripe is. */
  readonly api_base: string | null;
}

const webhookSecret = z.string().regex(/^whsec_[\w+/=-]+$/, "must be a webhook endpoint's secret (whsec_…)");

export const stripeBindings = {
  STRIPE_SECRET_KEY: optional(z.string().regex(/^[sr]k_(?:test|live)_\w+$/, "must be a secret key (sk_… or rk_…)")),
  STRIPE_WEBHOOK_SECRET: optional(webhookSecret),
  STRIPE_WEBHOOK_SECRET_OLD: optional(webhookSecret),
  STRIPE_API_BASE: optional(localEndpoint),
};

export function stripeAccount(bound: z.infer<z.ZodObject<typeof stripeBindings>>): StripeAccount | null {
  const { STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_WEBHOOK_SECRET_OLD, STRIPE_API_BASE } = bound;
  if (STRIPE_SECRET_KEY === undefined) return null;
  return {
    secret_key: STRIPE_SECRET_KEY,
    live: /^[sr]k_live_/.test(STRIPE_SECRET_KEY),
    webhook_secrets: [STRIPE_WEBHOOK_SECRET, STRIPE_WEBHOOK_SECRET_OLD].filter((secret) => secret !== undefined),
    api_base: STRIPE_API_BASE ?? null,
  };
}
