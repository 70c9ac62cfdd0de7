import { sql } from "drizzle-orm";
import * as z from "zod";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import { instant } from "../http/time.ts";
import { type buyBody, type confirmBody, kind, type quoteBody, type settleBody, state } from "./model.ts";
import { orderArguments } from "./order.ts";
import { orderArgs } from "./store.ts";

const context = { workspace_id: "workspace_id", caused_by: "caused_by" } as const;

const bought = {
  id: z.string(),
  kind,
  state,
  quantity: z.int(),
  list_minor: z.int(),
  discount_minor: z.int(),
  amount_minor: z.int(),
  currency: z.string(),
  created_at: instant,
};

const buyCall = routine({
  name: "payments.buy_from_balance",
  context,
  args: z.strictObject({ ...orderArgs, auto_renew: z.boolean() }),
  result: z.object({
    ...bought,
    payment_id: z.string(),
    subscription_id: z.string().nullable(),
    available: z.int(),
  }),
});

const startCall = routine({
  name: "payments.start_purchase",
  context,
  args: z.strictObject({
    ...orderArgs,
    topup_minor: z.int().nullable(),
    expires_in: z.string(),
    auto_renew: z.boolean(),
  }),
  result: z.object({ ...bought, expires_at: instant }),
});

const confirmCall = routine({
  name: "payments.confirm_purchase",
  context,
  args: z.strictObject({ id: z.string(), amount_minor: z.int(), currency: z.string(), reference: z.string() }),
  result: z.object({
    id: z.string(),
    outcome: z.enum(["paid", "does_not_fit"]),
    state,
    kind,
    amount_minor: z.int(),
    currency: z.string(),
    reference: z.string(),
    payment_id: z.string(),
    subscription_id: z.string().nullable(),
    available: z.int(),
  }),
});

const settleCall = routine({
  name: "payments.settle_payment",
  context,
  args: z.strictObject({ payment_id: z.string(), settle_as: z.string(), reason: z.string() }),
  result: z.object({
    payment_id: z.string(),
    settle_as: z.enum(["balance", "purchase"]),
    purchase_id: z.string().nullable(),
    state: state.nullable(),
    amount_minor: z.int(),
    currency: z.string(),
    subscription_id: z.string().nullable(),
    available: z.int(),
  }),
});

/** Every routine that is called here, for the contract test. */
export const calls = [buyCall, startCall, confirmCall, settleCall];

const quoted = z.object({
  kind,
  list_minor: z.int(),
  discount_minor: z.int(),
  amount_minor: z.int(),
  trial_days: z.int(),
});

/** What something costs now; nothing is held. Refuses what is not sold so, `amount_too_large`, and what is wrong with a promo code. */
export async function quote(c: AppContext, workspace: string, body: z.infer<typeof quoteBody>) {
  const asked = {
    ...orderArguments(body),
    topup_minor: body.topup_minor ?? null,
    collection: body.collection ?? "balance",
  };
  const [row] = await read(c, { scope: "billing:read", workspace }, (db, permit) =>
    db
      .select({
        answer: sql`to_json(payments.quote(
          workspace_id => ${permit.workspace_id}, plan_code => ${asked.plan_code}, plan_number => ${asked.plan_number},
          pack_code => ${asked.pack_code}, topup_minor => ${asked.topup_minor}, currency => ${asked.currency},
          interval_unit => ${asked.interval_unit}, interval_count => ${asked.interval_count},
          quantity => ${asked.quantity}, promo_code => ${asked.promo_code}, collection => ${asked.collection}))`.as(
          "answer",
        ),
      })
      .from(sql`(select) nothing`),
  );
  return { ...quoted.parse(row?.answer), quantity: body.quantity, currency: body.currency };
}

/**
 * Buys something: at once from the balance, or to be paid by hand. Refuses what `quote` does, `insufficient_balance`,
 * `subscription_exists`, `checkout_open`, `nothing_to_pay`, `workspace_read_only`, `workspace_frozen`, `not_found`.
 */
export async function buy(c: AppContext, workspace: string, body: z.infer<typeof buyBody>) {
  const scope = "billing:write";
  const args = { ...orderArguments(body), auto_renew: body.auto_renew ?? true };
  if (body.provider === "balance") {
    return { ...(await write(c, { routine: buyCall, args, scope, workspace })), expires_at: null };
  }
  const expires_in = `${body.expires_in ?? 3 * 86_400} seconds`;
  const started = await write(c, {
    routine: startCall,
    args: { ...args, topup_minor: body.topup_minor ?? null, expires_in },
    scope,
    workspace,
  });
  return { ...started, payment_id: null, subscription_id: null, available: null };
}

/** Money came by hand for a purchase, once by its reference. Refuses `reference_used`, `not_found`. */
export async function confirmPurchase(c: AppContext, workspace: string, id: string, body: z.infer<typeof confirmBody>) {
  return write(c, { routine: confirmCall, args: { id, ...body }, scope: "credits:grant", workspace });
}

/**
 * Decides on money that was kept without effect. Refuses `payment_settled`, `refund_at_provider`, `purchase_paid`,
 * `subscription_exists`, what is wrong with its promo code, `not_found`.
 */
export async function settlePayment(
  c: AppContext,
  workspace: string,
  payment_id: string,
  { as, reason }: z.infer<typeof settleBody>,
) {
  const args = { payment_id, settle_as: as, reason };
  const { settle_as, ...row } = await write(c, { routine: settleCall, args, scope: "ledger:adjust", workspace });
  return { ...row, settled_as: settle_as };
}
