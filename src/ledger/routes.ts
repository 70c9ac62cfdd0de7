import { createRoute } from "@hono/zod-openapi";
import { idempotencyRequired, jsonBody, keyedAnswer, secured, writeRefusals } from "../http/route.ts";
import { router } from "../http/router.ts";
import * as model from "./model.ts";
import * as store from "./store.ts";

const path = "/v1/workspaces/{workspace}/credits";
const tags = ["credits"];
const moves = ["idempotency_key_required", "idempotency_key_expired", "not_found"] as const;
const begins = [...moves, "workspace_read_only", "workspace_frozen"] as const;

const grantRoute = createRoute({
  method: "post",
  path: `${path}/grants`,
  operationId: "grantCredits",
  tags,
  summary: "Grant credits",
  description: "Adds to a pool; what is already there stays. A debt is paid first.",
  ...secured("credits:grant"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.grantBody) },
  responses: {
    201: keyedAnswer(model.movedAnswer, "Granted"),
    ...writeRefusals(...moves, "expires_in_past", "balance_limit_exceeded"),
  },
});

const resetRoute = createRoute({
  method: "put",
  path: `${path}/pools/subscription`,
  operationId: "resetSubscriptionCredits",
  tags,
  summary: "Set the subscription credits",
  description: "What is left in the pool expires and it holds `amount` anew, less any debt. No other pool is touched.",
  ...secured("credits:grant"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.resetBody) },
  responses: {
    200: keyedAnswer(model.movedAnswer, "Set"),
    ...writeRefusals(...moves, "expires_in_past", "balance_limit_exceeded"),
  },
});

const spendRoute = createRoute({
  method: "post",
  path: `${path}/spend`,
  operationId: "spendCredits",
  tags,
  summary: "Spend credits",
  description: "Takes from the subscription credits first, then from the rest by soonest expiry. All of it or nothing.",
  ...secured("credits:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.spendBody) },
  responses: {
    200: keyedAnswer(model.spendAnswer, "Spent; `drawn` names the pools"),
    ...writeRefusals(...begins, "insufficient_credits"),
  },
});

const batchRoute = createRoute({
  method: "post",
  path: `${path}/spend/batch`,
  operationId: "spendCreditsBatch",
  tags,
  summary: "Spend many times in one call",
  description:
    "Each item is spent or refused by itself, in the order given. An item's `key` shares its space with the " +
    "Idempotency-Keys of single spends: an item that was already spent is `replayed` and takes nothing.",
  ...secured("credits:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.batchBody) },
  responses: { 200: keyedAnswer(model.batchAnswer, "Each item's outcome"), ...writeRefusals(...begins) },
});

const holdRoute = createRoute({
  method: "post",
  path: `${path}/holds`,
  operationId: "holdCredits",
  tags,
  summary: "Hold credits",
  description: "Takes credits out of the pools until the hold is settled or released, or ends by itself.",
  ...secured("credits:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.holdBody) },
  responses: { 201: keyedAnswer(model.heldAnswer, "Held"), ...writeRefusals(...begins, "insufficient_credits") },
});

const settleRoute = createRoute({
  method: "post",
  path: `${path}/holds/{hold}/settle`,
  operationId: "settleHold",
  tags,
  summary: "Settle a hold",
  description: "Spends `amount` of the hold, all of it without one; the rest returns to the pools it came from.",
  ...secured("credits:write"),
  request: { params: model.holdParams, headers: idempotencyRequired, body: jsonBody(model.settleBody) },
  responses: {
    200: keyedAnswer(model.endedAnswer, "Settled"),
    ...writeRefusals(...moves, "hold_ended", "amount_exceeds_hold"),
  },
});

const releaseRoute = createRoute({
  method: "post",
  path: `${path}/holds/{hold}/release`,
  operationId: "releaseHold",
  tags,
  summary: "Release a hold",
  description: "Returns all of the hold to the pools it came from.",
  ...secured("credits:write"),
  request: { params: model.holdParams, headers: idempotencyRequired, body: jsonBody(model.releaseBody) },
  responses: { 200: keyedAnswer(model.endedAnswer, "Released"), ...writeRefusals(...moves, "hold_ended") },
});

const adjustRoute = createRoute({
  method: "post",
  path: `${path}/adjustments`,
  operationId: "adjustCredits",
  tags,
  summary: "Correct a balance",
  description: "An operator's correction, with a reason and an audit row. Above zero gives, below zero takes.",
  ...secured("ledger:adjust"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.adjustBody) },
  responses: {
    201: keyedAnswer(model.adjustAnswer, "Adjusted"),
    ...writeRefusals(...moves, "insufficient_credits", "balance_limit_exceeded"),
  },
});

const reverseRoute = createRoute({
  method: "post",
  path: `${path}/transactions/{transaction}/reverse`,
  operationId: "reverseTransaction",
  tags,
  summary: "Reverse a transaction",
  description: "Undoes it by a new transaction, once; with a reason and an audit row.",
  ...secured("ledger:adjust"),
  request: { params: model.transactionParams, headers: idempotencyRequired, body: jsonBody(model.reverseBody) },
  responses: {
    201: keyedAnswer(model.reverseAnswer, "Reversed"),
    ...writeRefusals(...moves, "transaction_not_reversible", "transaction_reversed", "balance_limit_exceeded"),
  },
});

const lowRoute = createRoute({
  method: "put",
  path: `${path}/low_mark`,
  operationId: "setLowCreditsMark",
  tags,
  summary: "Set when credits are low",
  description:
    "When less than `below` is available, webhook endpoints are told, once for each fall (`credits.low`). Less already: when " +
    "there has been more.",
  ...secured("workspaces:write"),
  request: { params: model.workspaceParams, headers: idempotencyRequired, body: jsonBody(model.lowBody) },
  responses: {
    200: keyedAnswer(model.lowAnswer, "Set"),
    ...writeRefusals("idempotency_key_required", "not_found"),
  },
});

/** Everything that moves credits, and when they are low. */
export const movements = router()
  .openapi(grantRoute, async (c) => {
    return c.json(await store.grant(c, c.req.valid("param").workspace, c.req.valid("json")), 201);
  })
  .openapi(resetRoute, async (c) => {
    const body = { pool: "subscription", ...c.req.valid("json") };
    return c.json(await store.reset(c, c.req.valid("param").workspace, body), 200);
  })
  .openapi(spendRoute, async (c) => {
    return c.json(await store.spend(c, c.req.valid("param").workspace, c.req.valid("json")), 200);
  })
  .openapi(batchRoute, async (c) => {
    return c.json(await store.spendMany(c, c.req.valid("param").workspace, c.req.valid("json").items), 200);
  })
  .openapi(holdRoute, async (c) => {
    return c.json(await store.hold(c, c.req.valid("param").workspace, c.req.valid("json")), 201);
  })
  .openapi(settleRoute, async (c) => {
    const { workspace, hold } = c.req.valid("param");
    return c.json(await store.settle(c, workspace, hold, c.req.valid("json").amount ?? null), 200);
  })
  .openapi(releaseRoute, async (c) => {
    const { workspace, hold } = c.req.valid("param");
    return c.json(await store.release(c, workspace, hold), 200);
  })
  .openapi(adjustRoute, async (c) => {
    return c.json(await store.adjust(c, c.req.valid("param").workspace, c.req.valid("json")), 201);
  })
  .openapi(reverseRoute, async (c) => {
    const { workspace, transaction } = c.req.valid("param");
    return c.json(await store.reverse(c, workspace, transaction, c.req.valid("json").reason), 201);
  })
  .openapi(lowRoute, async (c) => {
    return c.json(await store.setLowMark(c, c.req.valid("param").workspace, c.req.valid("json").below), 200);
  });
