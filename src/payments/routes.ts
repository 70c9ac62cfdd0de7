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
    "For a plan, or for a pack of credits or retail tokens. Send the person to `url`. While a checkout of a plan is open, " +
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
  });
