import { type BtcpayAccount, settings, type StripeAccount } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import { Problem } from "../http/problem.ts";

/** The deployment's Stripe account. Throws `misconfigured` where it has none. */
export function stripeOf(c: AppContext): StripeAccount {
  const { stripe } = settings(c.env);
  if (stripe === null) throw new Problem("misconfigured", {}, { cause: new Error("there is no Stripe secret key") });
  return stripe;
}

/** The deployment's store at BTCPay. Throws `misconfigured` where it has none. */
export function btcpayOf(c: AppContext): BtcpayAccount {
  const { btcpay } = settings(c.env);
  if (btcpay === null)
    throw new Problem("misconfigured", {}, { cause: new Error("there is no store at a BTCPay Server") });
  return btcpay;
}
