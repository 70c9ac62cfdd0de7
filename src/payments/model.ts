import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { moment, reason, uuid } from "../http/parameters.ts";

export const workspaceParams = z.strictObject({ workspace: uuid });
export const purchaseParams = z.strictObject({ workspace: uuid, purchase: uuid });

/** A place to which Stripe sends a person back. Which ones are allowed is decided by `places.ts`. */
const place = (example: string) =>
  z.string().min(1).meta({
    description:
      "https, at one of the origins that the deployment allows (CHECKOUT_ORIGINS); 2,000 characters at most.",
    example,
  });

const code = z.string().regex(/^[a-z][a-z0-9_]{0,49}$/, "must be a plan's or a pack's code");

const currency = z.string().regex(/^[a-z]{3}$/, "must be an ISO 4217 code in lower case");

/** What Stripe takes at most in one payment, of any currency. */
const minorAmount = z.int().min(1).max(99_999_999);

export const checkoutBody = z
  .strictObject({
    plan: code.optional().meta({ description: "A plan to subscribe to; this or `pack`." }),
    version: z.int().min(1).max(2_147_483_647).optional().meta({ description: "Of the plan; without it, the newest." }),
    pack: code.optional().meta({ description: "A pack of credits or retail tokens to buy once; this or `plan`." }),
    topup_minor: minorAmount.optional().meta({
      description: "Money for the workspace's balance, in the currency's smallest unit; in place of `plan` and `pack`.",
      example: 2500,
    }),
    currency,
    interval: z.enum(["day", "week", "month", "year"]).optional().meta({
      description: "How often the plan is paid; without it, by the month.",
    }),
    interval_count: z.int().min(1).max(36).optional().meta({ description: "Every how many of them; without it, 1." }),
    quantity: z.int().min(1).max(10_000).default(1).meta({ description: "How many: seats of a plan, or packs." }),
    success_url: place("https://app.example.com/thanks?session={CHECKOUT_SESSION_ID}"),
    cancel_url: place("https://app.example.com/prices"),
  })
  .superRefine((body, context) => {
    const refuse = (member: string, message: string) =>
      context.addIssue({ code: "custom", path: [member], message, input: body });
    const asked = [body.plan, body.pack, body.topup_minor].filter((member) => member !== undefined);
    if (asked.length !== 1) refuse("plan", "give a plan, a pack or topup_minor, one of them");
    if (body.topup_minor !== undefined && body.quantity !== 1) refuse("quantity", "is a plan's or a pack's");
    if (body.pack === undefined && body.topup_minor === undefined) return;
    for (const member of ["version", "interval", "interval_count"] as const) {
      if (body[member] !== undefined) refuse(member, "is a plan's");
    }
  })
  .meta({
    example: {
      plan: "pro",
      currency: "eur",
      interval: "month",
      success_url: "https://app.example.com/thanks?session={CHECKOUT_SESSION_ID}",
      cancel_url: "https://app.example.com/prices",
    },
  });

export const portalBody = z.strictObject({ return_url: place("https://app.example.com/account") });
export const cancelBody = z.strictObject({});

export const kind = z.enum(["balance_topup", "subscription", "credit_pack", "retail_token"]);
export const state = z.enum(["pending", "paid", "expired", "canceled", "partly_refunded", "refunded"]);

export type Kind = z.infer<typeof kind>;
export type State = z.infer<typeof state>;

const url = z.string().nullable().meta({
  description: "Where a person pays; null once the purchase is no longer open.",
  example: "https://checkout.stripe.com/c/pay/cs_live_a1b2c3",
});

export const checkoutAnswer = () =>
  z.object({
    id: uuid.meta({ description: "The purchase's." }),
    kind,
    state,
    url,
    quantity: z.int(),
    expires_at: moment.meta({ description: "Until when it can be paid." }),
    created_at: moment,
  });

export const portalAnswer = () =>
  z.object({ url: z.string().meta({ example: "https://billing.stripe.com/p/session/live_YWNjdF8x" }) });

const sold = z.object({ code: z.string(), version: z.int() }).nullable();
const minor = z.int().meta({ description: "In the currency's smallest unit.", example: 1900 });

export const purchasesQuery = z.strictObject({ ...pageQuery, state: state.optional() });

export const purchaseItem = () =>
  z.object({
    id: uuid,
    kind,
    provider: z.enum(["stripe", "manual", "balance"]).meta({ description: "Who takes the money." }),
    state,
    plan: sold,
    pack: sold,
    quantity: z.int(),
    amount_minor: minor,
    currency: z.string(),
    url,
    subscription_id: uuid.nullable(),
    payment_id: uuid.nullable(),
    expires_at: moment,
    ended_at: moment.nullable(),
    created_at: moment,
  });

export const paymentsQuery = z.strictObject(pageQuery);

export const paymentItem = () =>
  z.object({
    id: uuid,
    amount_minor: minor,
    currency: z.string(),
    refunded: minor,
    disputed: minor.meta({ description: "By disputes that are open or lost." }),
    provider: z.string().meta({ example: "stripe" }),
    reference: z.string().meta({ description: "The provider's invoice or checkout session.", example: "in_1a2b3c" }),
    purchase_id: uuid.nullable(),
    subscription_id: uuid.nullable(),
    paid_at: moment,
    created_at: moment,
  });

export const buyBody = z
  .strictObject({ pack: code, currency, quantity: z.int().min(1).max(10_000).default(1) })
  .meta({ example: { pack: "credits_100", currency: "eur" } });

const left = z.int().meta({ description: "What the balance has of the currency now." });

export const buyAnswer = () =>
  z.object({
    id: uuid.meta({ description: "The purchase's." }),
    kind,
    state,
    quantity: z.int(),
    amount_minor: minor,
    currency: z.string(),
    payment_id: uuid,
    available: left,
    created_at: moment,
  });

export const topupBody = z.strictObject({
  amount_minor: z.int().min(1).max(99_999_999_999).meta({ example: 2500 }),
  currency: currency.meta({ example: "eur" }),
  reference: z
    .string()
    .regex(/^[\x20-\x7e]{1,200}$/, "must be 1 to 200 printable ASCII characters")
    .meta({ description: "What the bank, or your books, call it: once for ever.", example: "bank-2026-11-22-0042" }),
});

export const topupAnswer = () =>
  z.object({
    id: uuid.meta({ description: "The purchase's." }),
    state,
    amount_minor: minor,
    currency: z.string(),
    reference: z.string(),
    payment_id: uuid,
    available: left,
    created_at: moment,
  });

export const paymentParams = z.strictObject({ workspace: uuid, payment: uuid });

export const refundBody = z.strictObject({
  amount_minor: z.int().min(1).max(99_999_999_999).optional().meta({ description: "Without it: all that is left." }),
  reason,
});

export const refundAnswer = () =>
  z.object({
    id: uuid.meta({ description: "The refund's." }),
    payment_id: uuid,
    amount_minor: minor,
    currency: z.string(),
    refunded: minor.meta({ description: "Of the payment, in all." }),
    available: left,
  });
