import { createRoute } from "@hono/zod-openapi";
import { cut, pageAnswer, pageOf } from "../http/pagination.ts";
import {
  idempotencyOptional,
  jsonAnswer,
  jsonBody,
  keyedAnswer,
  readRefusals,
  secured,
  writeRefusals,
} from "../http/route.ts";
import { router } from "../http/router.ts";
import * as model from "./promo-model.ts";
import * as store from "./promo.ts";

const tags = ["promo codes"];

const createCampaign = createRoute({
  method: "post",
  path: "/v1/promo_campaigns",
  operationId: "createCampaign",
  tags,
  summary: "Create a campaign",
  description: "Promo codes that have one cap and one window together.",
  ...secured("plans:write"),
  request: { headers: idempotencyOptional, body: jsonBody(model.campaignBody) },
  responses: {
    201: keyedAnswer(model.campaignItem, "The campaign"),
    ...writeRefusals("operator_key_required", "campaign_exists"),
  },
});

const listCampaigns = createRoute({
  method: "get",
  path: "/v1/promo_campaigns",
  operationId: "listCampaigns",
  tags,
  summary: "List campaigns",
  ...secured("billing:read"),
  request: { query: model.campaignsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.campaignItem()), "A page"),
    ...readRefusals("operator_key_required", "cursor_invalid"),
  },
});

const createPromoCode = createRoute({
  method: "post",
  path: "/v1/promo_codes",
  operationId: "createPromoCode",
  tags,
  summary: "Create a promo code",
  description:
    "A percentage or an amount off. A purchase that can still be paid holds a redemption of it: a cap is never passed, and what " +
    "was not paid gives it back.",
  ...secured("plans:write"),
  request: { headers: idempotencyOptional, body: jsonBody(model.promoBody) },
  responses: {
    201: keyedAnswer(model.promoItem, "The promo code"),
    ...writeRefusals("operator_key_required", "promo_exists", "campaign_unknown"),
  },
});

const listPromoCodes = createRoute({
  method: "get",
  path: "/v1/promo_codes",
  operationId: "listPromoCodes",
  tags,
  summary: "List promo codes",
  description: "Newest first, with how often each is held and was redeemed.",
  ...secured("billing:read"),
  request: { query: model.promoQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.promoItem()), "A page"),
    ...readRefusals("operator_key_required", "cursor_invalid"),
  },
});

const disablePromoCode = createRoute({
  method: "post",
  path: "/v1/promo_codes/{code}/disable",
  operationId: "disablePromoCode",
  tags,
  summary: "Disable a promo code",
  description: "From now on. A purchase that holds it keeps its price.",
  ...secured("plans:write"),
  request: { params: model.promoParams, headers: idempotencyOptional, body: jsonBody(model.disableBody) },
  responses: {
    200: keyedAnswer(model.disableAnswer, "Disabled, or so already"),
    ...writeRefusals("operator_key_required", "not_found"),
  },
});

/** Promo codes and their campaigns. */
export const promo = router()
  .openapi(createCampaign, async (c) => c.json(await store.createCampaign(c, c.req.valid("json")), 201))
  .openapi(listCampaigns, async (c) => {
    const page = pageOf(c.req.valid("query"));
    return c.json(
      cut(await store.listCampaigns(c, page), page, ({ id }) => id),
      200,
    );
  })
  .openapi(createPromoCode, async (c) => c.json(await store.createPromoCode(c, c.req.valid("json")), 201))
  .openapi(listPromoCodes, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    return c.json(
      cut(await store.listPromoCodes(c, page, query.code), page, ({ id }) => id),
      200,
    );
  })
  .openapi(disablePromoCode, async (c) => c.json(await store.disablePromoCode(c, c.req.valid("param").code), 200));
