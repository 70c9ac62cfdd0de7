import * as z from "zod";
import type { BtcpayAccount } from "../../env.ts";
import type { Arrival } from "../arrival.ts";
import { instantOf } from "../instant.ts";
import { id, seconds } from "./invoice.ts";
import { noDelivery } from "./signature.ts";

const envelope = z.object({
  deliveryId: id,
  originalDeliveryId: id.nullish(),
  type: z.string().regex(/^[A-Za-z]{1,100}$/),
  timestamp: seconds,
  storeId: id.nullish(),
  invoiceId: id.nullish(),
});

/**
 * Reads a delivery. It only says which invoice to look at: whatever it claims of it, the invoice is fetched. Sent again (`isRedelivery`),
 * it is the same event. Throws `Problem` `validation_failed` for what is none.
 */
export function arrivalOf(delivery: unknown, account: BtcpayAccount): Arrival {
  const parsed = envelope.safeParse(delivery);
  if (!parsed.success) throw noDelivery(parsed.error);
  const { deliveryId, originalDeliveryId, type, timestamp, storeId, invoiceId } = parsed.data;
  const ours = storeId === account.store_id;
  const nudges = type.startsWith("Invoice") && typeof invoiceId === "string";
  return {
    id: originalDeliveryId ?? deliveryId,
    type,
    subject: invoiceId ?? null,
    occurred_at: instantOf(timestamp),
    fact: null,
    foreign_because: ours ? null : "store",
    fetch_because: ours && nudges ? "nudge" : null,
    fault: null,
  };
}
