import { createRoute } from "@hono/zod-openapi";
import {
  idempotencyRequired,
  jsonAnswer,
  jsonBody,
  keyedAnswer,
  readRefusals,
  secured,
  writeRefusals,
} from "../http/route.ts";
import { router } from "../http/router.ts";
import { recordTopup, refundPayment } from "./balance.ts";
import { buy, confirmPurchase, quote, settlePayment } from "./buying.ts";
import { checkout, portal } from "./checkout.ts";
import { checkoutBody, portalBody } from "./checkout-model.ts";
import * as model from "./model.ts";
import { cancelPurchase } from "./purchase.ts";

const path = "/v1/workspaces/{workspace}";
const asksStripe = ["not_found", "provider_refused", "provider_unavailable", "misconfigured"] as const;
/** Of calls that take no Idempotency-Key, for there is nothing to do twice: a link is made anew, an end is an end. */
const ofBodies = ["malformed_json", "body_too_large", "unsupported_media_type"] as const;

/** What is wrong with an order, or with its promo code. */
const ofOrders = [
  "plan_unknown",
  "pack_unknown",
  "price_unknown",
  "amount_too_large",
  "promo_unknown",
  "promo_expired",
  "promo_not_for_this",
  "promo_used",
  "promo_used_up",
] as const;

const checkoutRoute = createRoute({
  method: "post",
  path: `${path}/checkout`,
  operationId: "checkout",
  tags: ["payments"],
  summary: "Send the workspace to pay",
  description:
    "For a plan, for a pack of credits or retail tokens, or for money on its balance. Send the person to `url`. While a checkout of a plan is open, " +
    "another call for that plan answers the same one. What is bought is there once Stripe says that it is paid, whether or not the " +
    "person comes back.",
  ...secured("billing:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(checkoutBody) },
  responses: {
    201: keyedAnswer(model.checkoutAnswer, "The purchase; send the person to `url`"),
    ...writeRefusals(
      ...asksStripe,
      "idempotency_key_required",
      ...ofOrders,
      "price_not_published",
      "subscription_exists",
      "checkout_open",
      "nothing_to_pay",
      "workspace_read_only",
      "workspace_frozen",
      "url_not_allowed",
    ),
  },
});

const portalRoute = createRoute({
  method: "post",
  path: `${path}/portal`,
  operationId: "openPortal",
  tags: ["payments"],
  summary: "Send the workspace to its portal",
  description: "Stripe's pages where a customer sees invoices and changes the card. Each call makes a new link.",
  ...secured("billing:write"),
  request: { params: model.workspaceParams, body: jsonBody(portalBody) },
  responses: {
    201: jsonAnswer(model.portalAnswer, "Send the person to `url`; it works for some minutes"),
    ...readRefusals(...asksStripe, ...ofBodies, "no_customer", "url_not_allowed"),
  },
});

const cancelRoute = createRoute({
  method: "post",
  path: `${path}/purchases/{purchase}/cancel`,
  operationId: "cancelPurchase",
  tags: ["payments"],
  summary: "Cancel a purchase",
  description:
    "It can no longer be paid. One that was paid meanwhile is answered as paid; one that is over stays as it is.",
  ...secured("billing:write"),
  request: { params: model.purchaseParams, body: jsonBody(model.cancelBody) },
  responses: {
    200: jsonAnswer(model.purchaseItem, "The purchase as it is now"),
    ...readRefusals(...asksStripe, ...ofBodies, "outcome_unknown"),
  },
});

const quoteRoute = createRoute({
  method: "post",
  path: `${path}/quotes`,
  operationId: "quote",
  tags: ["payments"],
  summary: "Ask what something costs",
  description:
    "With a promo code or without. Nothing is held by it: a purchase is its own quote, whose price, promo code and currency are " +
    "fixed until it is over.",
  ...secured("billing:read"),
  request: { params: model.workspaceParams, body: jsonBody(model.quoteBody) },
  responses: {
    200: jsonAnswer(model.quoteAnswer, "What it costs now"),
    ...readRefusals("not_found", ...ofBodies, ...ofOrders),
  },
});

const buyRoute = createRoute({
  method: "post",
  path: `${path}/purchases`,
  operationId: "buy",
  tags: ["payments"],
  summary: "Buy from the balance, or to be paid by hand",
  description:
    "A plan's period or a pack, paid from the balance: the money and what it buys move in one statement, both or neither. Or " +
    "(`manual`) whatever is to be paid by a transfer or in cash: its price is fixed, its promo code held, until an operator " +
    "confirms the money or its time is over. A period of a plan that is paid for already makes it longer.",
  ...secured("billing:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.buyBody) },
  responses: {
    201: keyedAnswer(model.buyAnswer, "Bought, or to be paid"),
    ...writeRefusals(
      "idempotency_key_required",
      "not_found",
      "insufficient_balance",
      "subscription_exists",
      "checkout_open",
      "nothing_to_pay",
      "workspace_read_only",
      "workspace_frozen",
      "balance_limit_exceeded",
      ...ofOrders,
    ),
  },
});

const confirmRoute = createRoute({
  method: "post",
  path: `${path}/purchases/{purchase}/payments`,
  operationId: "confirmPurchase",
  tags: ["payments"],
  summary: "Say that money came for a purchase",
  description:
    "Of one that is paid by hand; once for ever by the reference. Money of another amount or currency is kept without effect, " +
    "under an alarm, until you settle it; the purchase can still be paid.",
  ...secured("credits:grant"),
  request: { params: model.purchaseParams, headers: idempotencyRequired, body: jsonBody(model.confirmBody) },
  responses: {
    201: keyedAnswer(model.confirmAnswer, "Kept; outcome says what it did"),
    ...writeRefusals("idempotency_key_required", "not_found", "reference_used", "balance_limit_exceeded"),
  },
});

const settleRoute = createRoute({
  method: "post",
  path: `${path}/payments/{payment}/settle`,
  operationId: "settlePayment",
  tags: ["payments"],
  summary: "Settle a payment that was kept without effect",
  description: "It goes to the balance, or buys what it was for all the same. To give it back, refund it.",
  ...secured("ledger:adjust"),
  request: { params: model.paymentParams, headers: idempotencyRequired, body: jsonBody(model.settleBody) },
  responses: {
    201: keyedAnswer(model.settleAnswer, "Settled"),
    ...writeRefusals(
      "idempotency_key_required",
      "not_found",
      "payment_settled",
      "purchase_paid",
      "refund_at_provider",
      "subscription_exists",
      "promo_unknown",
      "promo_expired",
      "promo_used",
      "promo_used_up",
      "balance_limit_exceeded",
    ),
  },
});

const topupRoute = createRoute({
  method: "post",
  path: `${path}/balance/topups`,
  operationId: "recordTopup",
  tags: ["balance"],
  summary: "Record money that came by hand",
  description:
    "A bank transfer, cash: it goes to the workspace's balance, once for ever by its reference. (A customer tops up through " +
    "Stripe by a checkout with `topup_minor`.)",
  ...secured("credits:grant"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.topupBody) },
  responses: {
    201: keyedAnswer(model.topupAnswer, "Recorded"),
    ...writeRefusals("idempotency_key_required", "not_found", "reference_used", "balance_limit_exceeded"),
  },
});

const refundRoute = createRoute({
  method: "post",
  path: `${path}/payments/{payment}/refund`,
  operationId: "refundPayment",
  tags: ["balance"],
  summary: "Refund what was paid by hand or from the balance",
  description:
    "The credits and the money that it gave are taken back in proportion; what was paid from the balance goes back to it. A " +
    "period of a subscription stays as it is: cancel it. A payment of Stripe's is refunded at Stripe, and followed here.",
  ...secured("ledger:adjust"),
  request: { params: model.paymentParams, headers: idempotencyRequired, body: jsonBody(model.refundBody) },
  responses: {
    201: keyedAnswer(model.refundAnswer, "Refunded"),
    ...writeRefusals(
      "idempotency_key_required",
      "not_found",
      "refund_at_provider",
      "amount_exceeds_payment",
      "balance_limit_exceeded",
    ),
  },
});

/** Everything that leads to a payment, or away from one. */
export const buying = router()
  .openapi(checkoutRoute, async (c) => {
    return c.json(await checkout(c, c.req.valid("param").workspace, c.req.valid("json")), 201);
  })
  .openapi(portalRoute, async (c) => {
    return c.json(await portal(c, c.req.valid("param").workspace, c.req.valid("json").return_url), 201);
  })
  .openapi(cancelRoute, async (c) => {
    const { workspace, purchase } = c.req.valid("param");
    return c.json(await cancelPurchase(c, workspace, purchase), 200);
  })
  .openapi(quoteRoute, async (c) => {
    return c.json(await quote(c, c.req.valid("param").workspace, c.req.valid("json")), 200);
  })
  .openapi(buyRoute, async (c) => {
    return c.json(await buy(c, c.req.valid("param").workspace, c.req.valid("json")), 201);
  })
  .openapi(confirmRoute, async (c) => {
    const { workspace, purchase } = c.req.valid("param");
    return c.json(await confirmPurchase(c, workspace, purchase, c.req.valid("json")), 201);
  })
  .openapi(settleRoute, async (c) => {
    const { workspace, payment } = c.req.valid("param");
    return c.json(await settlePayment(c, workspace, payment, c.req.valid("json")), 201);
  })
  .openapi(topupRoute, async (c) => {
    return c.json(await recordTopup(c, c.req.valid("param").workspace, c.req.valid("json")), 201);
  })
  .openapi(refundRoute, async (c) => {
    const { workspace, payment } = c.req.valid("param");
    return c.json(await refundPayment(c, workspace, payment, c.req.valid("json")), 201);
  });
