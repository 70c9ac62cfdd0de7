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
import { buyFromBalance, recordTopup, refundPayment } from "./balance.ts";
import { checkout, portal } from "./checkout.ts";
import * as model from "./model.ts";
import { cancelPurchase } from "./purchase.ts";

const path = "/v1/workspaces/{workspace}";
const asksStripe = ["not_found", "provider_refused", "provider_unavailable", "misconfigured"] as const;
/** Of calls that take no Idempotency-Key, for there is nothing to do twice: a link is made anew, an end is an end. */
const ofBodies = ["malformed_json", "body_too_large", "unsupported_media_type"] as const;

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
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.checkoutBody) },
  responses: {
    201: keyedAnswer(model.checkoutAnswer, "The purchase; send the person to `url`"),
    ...writeRefusals(
      ...asksStripe,
      "idempotency_key_required",
      "plan_unknown",
      "pack_unknown",
      "price_unknown",
      "price_not_published",
      "subscription_exists",
      "checkout_open",
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
  request: { params: model.workspaceParams, body: jsonBody(model.portalBody) },
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

const buyRoute = createRoute({
  method: "post",
  path: `${path}/purchases`,
  operationId: "buyFromBalance",
  tags: ["balance"],
  summary: "Pay a pack from the balance",
  description: "The money and what it buys move in one statement: both or neither.",
  ...secured("billing:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.buyBody) },
  responses: {
    201: keyedAnswer(model.buyAnswer, "Bought"),
    ...writeRefusals(
      "idempotency_key_required",
      "not_found",
      "insufficient_balance",
      "pack_unknown",
      "price_unknown",
      "workspace_read_only",
      "workspace_frozen",
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
    "What it gave is taken back in proportion; what was paid from the balance goes back to it. A payment of Stripe's is " +
    "refunded at Stripe, and followed here.",
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
  .openapi(buyRoute, async (c) => {
    return c.json(await buyFromBalance(c, c.req.valid("param").workspace, c.req.valid("json")), 201);
  })
  .openapi(topupRoute, async (c) => {
    return c.json(await recordTopup(c, c.req.valid("param").workspace, c.req.valid("json")), 201);
  })
  .openapi(refundRoute, async (c) => {
    const { workspace, payment } = c.req.valid("param");
    return c.json(await refundPayment(c, workspace, payment, c.req.valid("json")), 201);
  });
