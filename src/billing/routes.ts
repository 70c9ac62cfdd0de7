import { createRoute } from "@hono/zod-openapi";
import { idempotencyOptional, jsonBody, keyedAnswer, secured, writeRefusals } from "../http/route.ts";
import { router } from "../http/router.ts";
import * as catalogue from "./catalogue.ts";
import * as model from "./model.ts";
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
