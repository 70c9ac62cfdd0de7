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
import * as model from "./referral-model.ts";
import * as store from "./referrals.ts";

const path = "/v1/workspaces/{workspace}";
const tags = ["referrals"];

const setReferrer = createRoute({
  method: "put",
  path: `${path}/referrer`,
  operationId: "setReferrer",
  tags,
  summary: "Say who brought the workspace",
  description:
    "Once for ever, and before its first payment. From then on the referrer gets its part of what the workspace pays from " +
    "outside (`PUT /v1/referral_policy`), on its balance; it is taken back in proportion with a refund or a dispute.",
  ...secured("workspaces:write"),
  request: { params: model.workspaceParams, headers: idempotencyOptional, body: jsonBody(model.referrerBody) },
  responses: {
    200: keyedAnswer(model.referrerAnswer, "Set, or so already"),
    ...writeRefusals(
      "not_found",
      "referral_cycle",
      "referral_late",
      "referral_too_deep",
      "referrer_fixed",
      "referral_self",
      "referrer_unknown",
    ),
  },
});

const getReferrer = createRoute({
  method: "get",
  path: `${path}/referrer`,
  operationId: "getReferrer",
  tags,
  summary: "Get who brought the workspace",
  ...secured("billing:read"),
  request: { params: model.workspaceParams },
  responses: { 200: jsonAnswer(model.referrerAnswer, "The referrer"), ...readRefusals("not_found") },
});

const referrals = createRoute({
  method: "get",
  path: `${path}/referrals`,
  operationId: "listReferrals",
  tags,
  summary: "List whom the workspace brought",
  description: "Newest first, with what each earned it, by currency.",
  ...secured("billing:read"),
  request: { params: model.workspaceParams, query: model.listQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.referralItem()), "A page"),
    ...readRefusals("not_found", "cursor_invalid"),
  },
});

const rewards = createRoute({
  method: "get",
  path: `${path}/rewards`,
  operationId: "listRewards",
  tags,
  summary: "List what the workspace got for whom it brought",
  description: "Each rewarded payment, newest first.",
  ...secured("billing:read"),
  request: { params: model.workspaceParams, query: model.listQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.rewardItem()), "A page"),
    ...readRefusals("not_found", "cursor_invalid"),
  },
});

const getPolicy = createRoute({
  method: "get",
  path: "/v1/referral_policy",
  operationId: "getReferralPolicy",
  tags,
  summary: "Get the referral policy",
  description: "What a referrer gets. For an operator's key.",
  ...secured("billing:read"),
  responses: { 200: jsonAnswer(model.policyAnswer, "The policy"), ...readRefusals("operator_key_required") },
});

const setPolicy = createRoute({
  method: "put",
  path: "/v1/referral_policy",
  operationId: "setReferralPolicy",
  tags,
  summary: "Set the referral policy",
  description: "Holds from the next payment on; what was given stays.",
  ...secured("plans:write"),
  request: { headers: idempotencyOptional, body: jsonBody(model.policyBody) },
  responses: { 200: keyedAnswer(model.policyAnswer, "Set"), ...writeRefusals("operator_key_required") },
});

/** Who brought whom, and what it earned. */
export const referring = router()
  .openapi(setReferrer, async (c) => {
    return c.json(await store.setReferrer(c, c.req.valid("param").workspace, c.req.valid("json").referrer), 200);
  })
  .openapi(getReferrer, async (c) => c.json(await store.getReferrer(c, c.req.valid("param").workspace), 200))
  .openapi(referrals, async (c) => {
    const page = pageOf(c.req.valid("query"));
    const rows = await store.listReferrals(c, c.req.valid("param").workspace, page);
    return c.json(
      cut(rows, page, ({ workspace_id }) => workspace_id),
      200,
    );
  })
  .openapi(rewards, async (c) => {
    const page = pageOf(c.req.valid("query"));
    const rows = await store.listRewards(c, c.req.valid("param").workspace, page);
    return c.json(
      cut(rows, page, ({ payment_id }) => payment_id),
      200,
    );
  })
  .openapi(getPolicy, async (c) => c.json(await store.getReferralPolicy(c), 200))
  .openapi(setPolicy, async (c) => c.json(await store.setReferralPolicy(c, c.req.valid("json")), 200));
