import * as z from "zod";
import { optional, peerUrl, refusePlain } from "./form.ts";

/** The operator's store at a BTCPay Server. */
export interface BtcpayAccount {
  /** Without a slash at its end. */
  readonly url: string;
  readonly api_key: string;
  readonly store_id: string;
  /** As Stripe's. */
  readonly webhook_secrets: readonly string[];
}

const printable = z.string().regex(/^[!-~]{8,500}$/, "must have 8 printable characters or more");

export const btcpayBindings = {
  BTCPAY_URL: optional(peerUrl),
  BTCPAY_API_KEY: optional(printable),
  BTCPAY_STORE_ID: optional(z.string().regex(/^\w{1,100}$/, "must be a store's id")),
  BTCPAY_WEBHOOK_SECRET: optional(printable),
  BTCPAY_WEBHOOK_SECRET_OLD: optional(printable),
};

export function btcpayAccount(
  bound: z.infer<z.ZodObject<typeof btcpayBindings>>,
  local: boolean,
): BtcpayAccount | null {
  const { BTCPAY_URL, BTCPAY_API_KEY, BTCPAY_STORE_ID, BTCPAY_WEBHOOK_SECRET, BTCPAY_WEBHOOK_SECRET_OLD } = bound;
  if (BTCPAY_URL !== undefined) refusePlain("BTCPAY_URL", BTCPAY_URL, local);
  if (BTCPAY_URL === undefined || BTCPAY_API_KEY === undefined || BTCPAY_STORE_ID === undefined) return null;
  return {
    url: BTCPAY_URL,
    api_key: BTCPAY_API_KEY,
    store_id: BTCPAY_STORE_ID,
    webhook_secrets: [BTCPAY_WEBHOOK_SECRET, BTCPAY_WEBHOOK_SECRET_OLD].filter((secret) => secret !== undefined),
  };
}
