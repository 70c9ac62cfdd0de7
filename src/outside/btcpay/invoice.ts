import * as z from "zod";
import { decimal, minorOf } from "./decimal.ts";

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** An id of BTCPay's. */
export const id = z.string().regex(/^[\w-]{1,255}$/);

/** Unix seconds until the year 9999, which is as far as anybody here reads. */
export const seconds = z.int().min(0).max(253_402_300_799);

const money = z.string().regex(decimal);

const method = z.object({
  payments: z.array(
    z.object({ receivedDate: seconds.nullish(), status: z.enum(["Processing", "Settled", "Invalid"]) }),
  ),
});

const invoice = z.object({
  id,
  storeId: id,
  amount: money,
  // Since BTCPay Server 2.1.1.
  paidAmount: money,
  currency: z.string().regex(/^[A-Z]{2,10}$/),
  type: z.enum(["Standard", "TopUp"]).optional(),
  status: z.enum(["New", "Processing", "Settled", "Expired", "Invalid"]),
  additionalStatus: z.enum(["None", "PaidLate", "PaidPartial", "PaidOver", "Marked", "Invalid"]),
  // In ASCII, as BTCPay writes one.
  checkoutLink: z.string().regex(/^https?:\/\/[!-~]{1,4000}$/),
  createdTime: seconds,
  expirationTime: seconds,
  monitoringExpiration: seconds,
  metadata: z.looseObject({ orderId: z.unknown() }).nullish(),
  paymentMethods: z.array(method).optional(),
});

/** What of an invoice counts. */
export interface InvoiceFact {
  kind: "btcpay_invoice";
  invoice: string;
  /** The purchase of ours that it was made for, by its own word. */
  purchase: string | null;
  status: "New" | "Processing" | "Settled" | "Expired" | "Invalid";
  /** Whether a person made it so. */
  marked: boolean;
  amount_minor: number;
  currency: string;
  /** What BTCPay says that came, in the invoice's currency: it knows the rates, and nobody else multiplies by them. */
  paid_minor: number;
  /** Whether some of what came waits for its confirmations. */
  unconfirmed: boolean;
  /** When the last of it came. */
  paid_at: number | null;
  url: string;
  created: number;
  expires_at: number;
  /** Until when BTCPay looks for what comes late. */
  monitored_until: number;
}

/** An invoice, read. `whole`: it came with its payments; without them nobody knows whether they are confirmed. */
export interface Reading {
  fact: InvoiceFact;
  store: string;
  whole: boolean;
}

/** Reads an invoice. Throws where it has another shape than BTCPay documents, or an amount that its currency does not have. */
export function readInvoice(object: unknown): Reading {
  const found = invoice.parse(object);
  const currency = found.currency.toLowerCase();
  const [asked, paid] = [minorOf(found.amount, currency), minorOf(found.paidAmount, currency)];
  if (asked === null || paid === null) throw new Error("an amount is no exact number");
  const coins = found.paymentMethods?.flatMap(({ payments }) => payments) ?? [];
  const order = found.metadata?.orderId;
  const times = coins.flatMap(({ receivedDate }) => receivedDate ?? []);
  return {
    store: found.storeId,
    whole: found.paymentMethods !== undefined,
    fact: {
      kind: "btcpay_invoice",
      invoice: found.id,
      purchase: typeof order === "string" && uuid.test(order) ? order : null,
      status: found.status,
      marked: found.additionalStatus === "Marked",
      // Of an amount that the currency does not have, no purchase is: it must equal none.
      amount_minor: asked.rest || found.type === "TopUp" ? 0 : asked.minor,
      currency,
      paid_minor: paid.minor,
      unconfirmed: coins.some(({ status }) => status === "Processing"),
      paid_at: times.length === 0 ? null : Math.max(...times),
      url: found.checkoutLink,
      created: found.createdTime,
      expires_at: found.expirationTime,
      monitored_until: found.monitoringExpiration,
    },
  };
}
