import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { moment, reason, uuid } from "../http/parameters.ts";
import { autoRenew, currency, order, refuseMixed } from "./order.ts";

export const workspaceParams = z.strictObject({ workspace: uuid });
export const purchaseParams = z.strictObject({ workspace: uuid, purchase: uuid });

/** What anybody pays at once by hand or from a balance. */
const largestByHand = 99_999_999_999;

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

export const purchasesQuery = z.strictObject({ ...pageQuery, state: state.optional(), kind: kind.optional() });

/** What it costs: the price, what a promo code takes off, and what is to be paid. */
const quoted = {
  list_minor: minor.meta({ description: "The price, times the quantity." }),
  discount_minor: minor.meta({ description: "What the promo code takes off." }),
  amount_minor: minor.meta({ description: "What is to be paid." }),
  currency: z.string(),
};

export const purchaseItem = () =>
  z.object({
    id: uuid,
    kind,
    provider: z.enum(["stripe", "manual", "balance", "btcpay"]).meta({ description: "Who takes the money." }),
    state,
    plan: sold,
    pack: sold,
    quantity: z.int(),
    ...quoted,
    promo_code: z.string().nullable().meta({ example: "WELCOME10" }),
    collection: z.enum(["stripe", "balance"]).nullable().meta({ description: "Of a plan: who collects its periods." }),
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
    reference: z.string().meta({
      description: "The provider's invoice or checkout session; of money that came by hand, what the bank calls it.",
      example: "in_1a2b3c",
    }),
    purchase_id: uuid.nullable(),
    subscription_id: uuid.nullable(),
    unsettled_at: moment.nullable().meta({
      description:
        "Since when it waits for the operator to settle it: it came in another amount or currency than asked for, or what it " +
        "was for could not be had any more.",
    }),
    paid_at: moment,
    created_at: moment,
  });

export const quoteBody = z
  .strictObject({
    ...order(largestByHand),
    collection: z
      .enum(["stripe", "balance"])
      .optional()
      .meta({ description: "Of a plan: who collects its periods; without it, `balance`." }),
  })
  .superRefine(refuseMixed)
  .meta({ example: { pack: "credits_100", currency: "eur", promo_code: "WELCOME10" } });

export const quoteAnswer = () =>
  z.object({
    kind,
    quantity: z.int(),
    ...quoted,
    trial_days: z.int().meta({ description: "Of a plan: how long a trial of it is." }),
  });

const day = 86_400;

export const buyBody = z
  .strictObject({
    ...order(largestByHand),
    provider: z.enum(["balance", "manual"]).default("balance").meta({
      description:
        "`balance`: paid at once from the workspace's balance. `manual`: paid by hand, once the operator says so.",
    }),
    auto_renew: autoRenew.optional(),
    expires_in: z
      .int()
      .min(300)
      .max(30 * day)
      .optional()
      .meta({ description: "Of what is paid by hand: for how many seconds it may be; without it, three days." }),
  })
  .superRefine((body, context) => {
    refuseMixed(body, context);
    const refuse = (member: string, message: string) =>
      context.addIssue({ code: "custom", path: [member], message, input: body });
    if (body.provider === "manual") return;
    if (body.topup_minor !== undefined) refuse("topup_minor", "cannot be paid from the balance itself");
    if (body.expires_in !== undefined) refuse("expires_in", "is of what is paid by hand");
  })
  .meta({ example: { pack: "credits_100", currency: "eur" } });

const left = z.int().meta({ description: "What the balance has of the currency now." });

export const buyAnswer = () =>
  z.object({
    id: uuid.meta({ description: "The purchase's." }),
    kind,
    state,
    quantity: z.int(),
    ...quoted,
    payment_id: uuid.nullable().meta({ description: "Null while it is to be paid." }),
    subscription_id: uuid.nullable(),
    available: left.nullable().meta({ description: "What the balance has now; null of what is paid by hand." }),
    expires_at: moment.nullable().meta({ description: "Until when it can be paid by hand." }),
    created_at: moment,
  });

const reference = z
  .string()
  .regex(/^[\x20-\x7e]{1,200}$/, "must be 1 to 200 printable ASCII characters")
  .meta({ description: "What the bank, or your books, call it: once for ever.", example: "bank-2026-11-22-0042" });

export const confirmBody = z
  .strictObject({ amount_minor: z.int().min(0).max(largestByHand), currency, reference })
  .meta({ example: { amount_minor: 2500, currency: "eur", reference: "bank-2026-11-22-0043" } });

export const confirmAnswer = () =>
  z.object({
    id: uuid.meta({ description: "The purchase's." }),
    outcome: z.enum(["paid", "does_not_fit"]).meta({
      description:
        "`paid`: it bought what it was for. `does_not_fit`: another amount or currency, paid already, or not to be had any " +
        "more: the money is kept without effect, for you to settle.",
    }),
    state,
    kind,
    amount_minor: minor,
    currency: z.string(),
    reference: z.string(),
    payment_id: uuid,
    subscription_id: uuid.nullable(),
    available: left,
  });

export const settleBody = z
  .strictObject({
    as: z.enum(["balance", "purchase"]).meta({
      description: "`balance`: the money goes to the balance. `purchase`: it buys what it was paid for all the same.",
    }),
    reason,
  })
  .meta({ example: { as: "balance", reason: "paid 1 € too little, agreed by phone" } });

export const settleAnswer = () =>
  z.object({
    payment_id: uuid,
    settled_as: z.enum(["balance", "purchase"]),
    purchase_id: uuid.nullable(),
    state: state.nullable().meta({ description: "The purchase's." }),
    amount_minor: minor,
    currency: z.string(),
    subscription_id: uuid.nullable(),
    available: left,
  });

export const topupBody = z.strictObject({
  amount_minor: z.int().min(1).max(largestByHand).meta({ example: 2500 }),
  currency: currency.meta({ example: "eur" }),
  reference,
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
  amount_minor: z.int().min(1).max(largestByHand).optional().meta({ description: "Without it: all that is left." }),
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
