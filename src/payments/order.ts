import * as z from "zod";

/** What is bought: a plan's period, a pack, or money for the balance; in which currency, and with which promo code. */

const code = z.string().regex(/^[a-z][a-z0-9_]{0,49}$/, "must be a plan's or a pack's code");

export const currency = z.string().regex(/^[a-z]{3}$/, "must be an ISO 4217 code in lower case");

/** A promo code as a person types it: in any case, with blanks around it. */
const typedPromoCode = z
  .string()
  .regex(/^\s{0,10}[A-Za-z0-9][A-Za-z0-9_-]{1,49}\s{0,10}$/, "must be 2 to 50 letters, digits, - or _")
  .meta({ example: "WELCOME10" });

export const autoRenew = z.boolean().meta({
  description:
    "Of a plan that is paid by the period: the next one is paid from the balance. Without it, true. It counts where a " +
    "subscription begins, or a trial ends: one that lives goes on as it was set (`PUT …/subscription/renewal`).",
});

/** The members of a body that says what is bought; `most` is the most money that one payment may be. */
export const order = (most: number) => ({
  plan: code.optional().meta({ description: "A plan to subscribe to; this or `pack`." }),
  version: z.int().min(1).max(2_147_483_647).optional().meta({ description: "Of the plan; without it, the newest." }),
  pack: code.optional().meta({ description: "A pack of credits or retail tokens to buy once; this or `plan`." }),
  topup_minor: z.int().min(1).max(most).optional().meta({
    description: "Money for the workspace's balance, in the currency's smallest unit; in place of `plan` and `pack`.",
    example: 2500,
  }),
  currency,
  interval: z.enum(["day", "week", "month", "year"]).optional().meta({
    description: "How often the plan is paid; without it, by the month.",
  }),
  interval_count: z.int().min(1).max(36).optional().meta({ description: "Every how many of them; without it, 1." }),
  quantity: z.int().min(1).max(10_000).default(1).meta({ description: "How many: seats of a plan, or packs." }),
  promo_code: typedPromoCode.optional(),
});

/** What such a body says. */
export interface Order {
  plan?: string | undefined;
  version?: number | undefined;
  pack?: string | undefined;
  topup_minor?: number | undefined;
  currency: string;
  interval?: string | undefined;
  interval_count?: number | undefined;
  quantity: number;
  promo_code?: string | undefined;
}

/** Members that only a plan has, beside those of `order`. */
interface OfPlans {
  auto_renew?: boolean | undefined;
  collection?: string | undefined;
}

/** Refuses an order of two things, or of none, and what belongs to plans where none is ordered. */
export function refuseMixed(body: Order & OfPlans, context: z.core.$RefinementCtx): void {
  const refuse = (member: string, message: string) =>
    context.addIssue({ code: "custom", path: [member], message, input: body });
  const asked = [body.plan, body.pack, body.topup_minor].filter((member) => member !== undefined);
  if (asked.length !== 1) refuse("plan", "give a plan, a pack or topup_minor, one of them");
  if (body.topup_minor !== undefined && body.quantity !== 1) refuse("quantity", "is a plan's or a pack's");
  if (body.pack === undefined && body.topup_minor === undefined) return;
  for (const member of ["version", "interval", "interval_count", "auto_renew", "collection"] as const) {
    if (body[member] !== undefined) refuse(member, "is a plan's");
  }
}

/** An order as the routines take it. */
export function orderArguments(body: Order) {
  const ofPlan = body.plan !== undefined;
  return {
    plan_code: body.plan ?? null,
    plan_number: body.version ?? null,
    pack_code: body.pack ?? null,
    currency: body.currency,
    interval_unit: ofPlan ? (body.interval ?? "month") : null,
    interval_count: ofPlan ? (body.interval_count ?? 1) : null,
    quantity: body.quantity,
    promo_code: body.promo_code?.trim() ?? null,
  };
}
