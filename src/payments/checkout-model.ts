import * as z from "zod";
import { identity } from "../http/parameters.ts";
import { autoRenew, order, refuseMixed } from "./order.ts";

/** A place to which Stripe or BTCPay sends a person back. Which ones are allowed is decided by `places.ts`. */
const place = (example: string) =>
  z.string().min(1).meta({
    description:
      "https, at one of the origins that the deployment allows (CHECKOUT_ORIGINS); 2,000 characters at most.",
    example,
  });

/** What Stripe takes at most in one payment, of any currency. */
const largestAtStripe = 99_999_999;
/** Of a plan: one period is paid now, and the next ones from the balance. */
const onceOnly = ({ collection, provider }: { collection?: string | undefined; provider: string }) =>
  collection === "balance" || provider === "btcpay";

export const checkoutBody = z
  .strictObject({
    ...order(largestAtStripe),
    provider: z.enum(["stripe", "btcpay"]).default("stripe").meta({
      description: "Where it is paid: at Stripe, or in crypto at your BTCPay Server, of a plan one period.",
    }),
    collection: z
      .enum(["stripe", "balance"])
      .optional()
      .meta({
        description:
          "Of a plan: `stripe` collects each period (as without it); `balance`: one period is paid now, and the next ones from " +
          "the workspace's balance.",
      }),
    auto_renew: autoRenew.optional(),
    identity: identity.optional().meta({
      description:
        "Of a plan that has a trial: what you know your customer by. Who had a trial, in whatever workspace, pays at once. Only " +
        "its SHA-256 is kept.",
      example: "user-4711",
    }),
    success_url: place("https://app.example.com/thanks?session={CHECKOUT_SESSION_ID}"),
    cancel_url: place("https://app.example.com/prices"),
  })
  .superRefine((body, context) => {
    refuseMixed(body, context);
    if (body.provider === "btcpay" && body.collection === "stripe") {
      const message = "is of a plan that is paid at Stripe";
      context.addIssue({ code: "custom", path: ["collection"], message, input: body });
    }
    if (body.identity !== undefined && (body.plan === undefined || onceOnly(body))) {
      const message = "is of a plan that Stripe collects";
      context.addIssue({ code: "custom", path: ["identity"], message, input: body });
    }
    if (body.auto_renew !== undefined && body.plan !== undefined && !onceOnly(body)) {
      const message = "is of a plan that is paid from the balance: give collection";
      context.addIssue({ code: "custom", path: ["auto_renew"], message, input: body });
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
