import { createRoute } from "@hono/zod-openapi";
import { cut, pageAnswer, pageOf } from "../http/pagination.ts";
import { jsonAnswer, readRefusals, secured } from "../http/route.ts";
import { router } from "../http/router.ts";
import * as catalogue from "./catalogue.ts";
import * as model from "./model.ts";
import * as reads from "./reads.ts";
import { getSubscription } from "./subscription.ts";

const listPlans = createRoute({
  method: "get",
  path: "/v1/plans",
  operationId: "listPlans",
  tags: ["plans"],
  summary: "List plans",
  description: "Every version with its prices, newest first. For an operator's key.",
  ...secured("billing:read"),
  request: { query: catalogue.soldQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(catalogue.planItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const listPacks = createRoute({
  method: "get",
  path: "/v1/packs",
  operationId: "listPacks",
  tags: ["plans"],
  summary: "List packs",
  description: "What is bought once: every version with its prices, newest first. For an operator's key.",
  ...secured("billing:read"),
  request: { query: catalogue.soldQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(catalogue.packItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const getPolicy = createRoute({
  method: "get",
  path: "/v1/policy",
  operationId: "getPolicy",
  tags: ["plans"],
  summary: "Get the policy",
  description: "What was decided once for all workspaces. For an operator's key.",
  ...secured("billing:read"),
  responses: { 200: jsonAnswer(model.policyAnswer, "The policy"), ...readRefusals("operator_key_required") },
});

const getSubscriptionRoute = createRoute({
  method: "get",
  path: "/v1/workspaces/{workspace}/subscription",
  operationId: "getSubscription",
  tags: ["subscriptions"],
  summary: "Get the subscription",
  description:
    "The one that the workspace has, else the last that it had; all null where it never had one. And whether the workspace " +
    "may write.",
  ...secured("billing:read"),
  request: { params: model.workspaceParams },
  responses: { 200: jsonAnswer(model.subscriptionAnswer, "The subscription"), ...readRefusals("not_found") },
});

/** Everything that shows what is sold, and who is subscribed to it. */
export const views = router()
  .openapi(listPlans, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    return c.json(
      cut(await reads.listPlans(c, page, query.code), page, ({ id }) => id),
      200,
    );
  })
  .openapi(listPacks, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    return c.json(
      cut(await reads.listPacks(c, page, query.code), page, ({ id }) => id),
      200,
    );
  })
  .openapi(getPolicy, async (c) => c.json(await reads.getPolicy(c), 200))
  .openapi(getSubscriptionRoute, async (c) => c.json(await getSubscription(c, c.req.valid("param").workspace), 200));
