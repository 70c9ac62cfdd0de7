import { createRoute } from "@hono/zod-openapi";
import {
  idempotencyOptional,
  idempotencyRequired,
  jsonBody,
  keyedAnswer,
  secured,
  writeRefusals,
} from "../http/route.ts";
import { router } from "../http/router.ts";
import * as catalogue from "./catalogue.ts";
import * as model from "./model.ts";
import { setRenewal, startTrial } from "./balance.ts";
import * as subscriptions from "./change.ts";
import * as store from "./store.ts";

const createPlan = createRoute({
  method: "post",
  path: "/v1/plans",
  operationId: "createPlan",
  tags: ["plans"],
  summary: "Create a plan, or a new version of it",
  description:
    "A version never changes: what differs from the newest version becomes a new one (201), and who is subscribed keeps " +
    "theirs until moved. What does not differ is answered as it is (200). npm run stripe:setup makes its prices at Stripe.",
  ...secured("plans:write"),
  request: { headers: idempotencyOptional, body: jsonBody(catalogue.planBody) },
  responses: {
    200: keyedAnswer(catalogue.madeAnswer, "The newest version is this already"),
    201: keyedAnswer(catalogue.madeAnswer, "A new version"),
    ...writeRefusals("operator_key_required"),
  },
});

const createPack = createRoute({
  method: "post",
  path: "/v1/packs",
  operationId: "createPack",
  tags: ["plans"],
  summary: "Create a pack, or a new version of it",
  description: "What is bought once: credits or retail tokens. Versions are made as those of plans are.",
  ...secured("plans:write"),
  request: { headers: idempotencyOptional, body: jsonBody(catalogue.packBody) },
  responses: {
    200: keyedAnswer(catalogue.madeAnswer, "The newest version is this already"),
    201: keyedAnswer(catalogue.madeAnswer, "A new version"),
    ...writeRefusals("operator_key_required"),
  },
});

const setPolicy = createRoute({
  method: "put",
  path: "/v1/policy",
  operationId: "setPolicy",
  tags: ["plans"],
  summary: "Set the policy",
  description: "Holds from now on, for all workspaces; what was decided by the policy before stays.",
  ...secured("plans:write"),
  request: { headers: idempotencyOptional, body: jsonBody(model.policyBody) },
  responses: { 200: keyedAnswer(model.policyAnswer, "Set"), ...writeRefusals("operator_key_required") },
});

const path = "/v1/workspaces/{workspace}/subscription";
const asksStripe = [
  "idempotency_key_required",
  "not_found",
  "no_subscription",
  "change_invalid",
  "provider_refused",
  "provider_unavailable",
  "misconfigured",
] as const;
const after = "The subscription as it is now";

const change = createRoute({
  method: "post",
  path: `${path}/change`,
  operationId: "changeSubscription",
  tags: ["subscriptions"],
  summary: "Change the plan or the quantity",
  description:
    "A plan that costs more usually begins now, and its included credits are topped up in proportion; one that costs less " +
    "begins with the next period, and is refused now. A change that was planned before gives way to this one. What is paid " +
    "from the balance changes with its next period.",
  ...secured("billing:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.changeBody) },
  responses: {
    200: keyedAnswer(model.subscriptionAnswer, after),
    ...writeRefusals(...asksStripe, "plan_unknown", "price_unknown", "price_not_published"),
  },
});

const cancel = createRoute({
  method: "post",
  path: `${path}/cancel`,
  operationId: "cancelSubscription",
  tags: ["subscriptions"],
  summary: "Cancel the subscription",
  description: "One that is paid from the balance and owes ends at once: its period is over.",
  ...secured("billing:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.cancelBody) },
  responses: { 200: keyedAnswer(model.subscriptionAnswer, after), ...writeRefusals(...asksStripe) },
});

const uncancel = createRoute({
  method: "post",
  path: `${path}/uncancel`,
  operationId: "uncancelSubscription",
  tags: ["subscriptions"],
  summary: "Take a cancellation back",
  description: "While the subscription still runs; one that has ended is bought anew.",
  ...secured("billing:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.nothingBody) },
  responses: { 200: keyedAnswer(model.subscriptionAnswer, after), ...writeRefusals(...asksStripe) },
});

const keep = createRoute({
  method: "post",
  path: `${path}/keep`,
  operationId: "keepSubscription",
  tags: ["subscriptions"],
  summary: "Take a planned change back",
  description: "The plan that the subscription has goes on after the period.",
  ...secured("billing:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.nothingBody) },
  responses: { 200: keyedAnswer(model.subscriptionAnswer, after), ...writeRefusals(...asksStripe) },
});

const trial = createRoute({
  method: "post",
  path: `${path}/trial`,
  operationId: "startTrial",
  tags: ["subscriptions"],
  summary: "Start a trial",
  description:
    "The plan's trial days, without paying: once for ever for the workspace, and once for whoever it is (`identity`). For an " +
    "operator's key: only you know who a customer is. What comes after it is paid from the balance.",
  ...secured("credits:grant"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.trialBody) },
  responses: {
    201: keyedAnswer(model.subscriptionAnswer, "The subscription"),
    ...writeRefusals(
      "idempotency_key_required",
      "not_found",
      "workspace_frozen",
      "plan_unknown",
      "price_unknown",
      "trial_not_offered",
      "trial_used",
      "subscription_exists",
    ),
  },
});

const renewal = createRoute({
  method: "put",
  path: `${path}/renewal`,
  operationId: "setRenewal",
  tags: ["subscriptions"],
  summary: "Set how the subscription is renewed",
  description:
    "Of one that is paid from the balance: whether, and of what plan, interval and quantity its next period is. What is left out " +
    "is as now, also where another change was planned. Takes a cancellation back.",
  ...secured("billing:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.renewalBody) },
  responses: {
    200: keyedAnswer(model.subscriptionAnswer, after),
    ...writeRefusals("idempotency_key_required", "not_found", "no_subscription", "plan_unknown", "price_unknown"),
  },
});

/** What an operator sells, and decides. */
export const plans = router()
  .openapi(createPlan, async (c) => {
    const made = await store.createPlan(c, c.req.valid("json"));
    return made.created ? c.json(made, 201) : c.json(made, 200);
  })
  .openapi(createPack, async (c) => {
    const made = await store.createPack(c, c.req.valid("json"));
    return made.created ? c.json(made, 201) : c.json(made, 200);
  })
  .openapi(setPolicy, async (c) => c.json(await store.setPolicy(c, c.req.valid("json")), 200));

/** What becomes of a workspace's subscription. */
export const changes = router()
  .openapi(trial, async (c) => {
    return c.json(await startTrial(c, c.req.valid("param").workspace, c.req.valid("json")), 201);
  })
  .openapi(renewal, async (c) => {
    return c.json(await setRenewal(c, c.req.valid("param").workspace, c.req.valid("json")), 200);
  })
  .openapi(change, async (c) => {
    return c.json(await subscriptions.change(c, c.req.valid("param").workspace, c.req.valid("json")), 200);
  })
  .openapi(cancel, async (c) => {
    return c.json(await subscriptions.cancel(c, c.req.valid("param").workspace, c.req.valid("json").when), 200);
  })
  .openapi(uncancel, async (c) => {
    return c.json(await subscriptions.takeBack(c, c.req.valid("param").workspace, "uncancel"), 200);
  })
  .openapi(keep, async (c) => {
    return c.json(await subscriptions.takeBack(c, c.req.valid("param").workspace, "keep"), 200);
  });
