import * as z from "zod";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import { instant } from "../http/time.ts";
import { type refundBody, state, type topupBody } from "./model.ts";

const topupCall = routine({
  name: "payments.record_topup",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({ amount_minor: z.int(), currency: z.string(), reference: z.string() }),
  result: z.object({
    id: z.string(),
    state,
    amount_minor: z.int(),
    currency: z.string(),
    reference: z.string(),
    payment_id: z.string(),
    available: z.int(),
    created_at: instant,
  }),
});

const refundCall = routine({
  name: "payments.refund_payment",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({ payment_id: z.string(), amount_minor: z.int().nullable(), reason: z.string() }),
  result: z.object({
    id: z.string(),
    payment_id: z.string(),
    amount_minor: z.int(),
    currency: z.string(),
    refunded: z.int(),
    available: z.int(),
  }),
});

/** Every routine that is called here, for the contract test. */
export const calls = [topupCall, refundCall];

/** Money that came by hand, once by its reference. Refuses `reference_used`, `balance_limit_exceeded`, `not_found`. */
export async function recordTopup(c: AppContext, workspace: string, body: z.infer<typeof topupBody>) {
  return write(c, { routine: topupCall, args: body, scope: "credits:grant", workspace });
}

/** Refunds what came by hand or from a balance. Refuses `refund_at_provider`, `amount_exceeds_payment`, `not_found`. */
export async function refundPayment(
  c: AppContext,
  workspace: string,
  payment_id: string,
  { amount_minor, reason }: z.infer<typeof refundBody>,
) {
  const args = { payment_id, amount_minor: amount_minor ?? null, reason };
  return write(c, { routine: refundCall, args, scope: "ledger:adjust", workspace });
}
