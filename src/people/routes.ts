import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { cut, pageAnswer, pageOf, pageQuery } from "../http/pagination.ts";
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
import * as model from "./model.ts";
import * as store from "./store.ts";

const listQuery = z.strictObject(pageQuery);

const createWorkspace = createRoute({
  method: "post",
  path: "/v1/workspaces",
  operationId: "createWorkspace",
  tags: ["workspaces"],
  summary: "Create a workspace",
  description: "A workspace is a customer of yours: whatever owns credits.",
  ...secured("workspaces:write"),
  request: { headers: idempotencyOptional, body: jsonBody(model.workspaceBody) },
  responses: { 201: keyedAnswer(model.workspaceAnswer, "Created"), ...writeRefusals("operator_key_required") },
});

const getWorkspace = createRoute({
  method: "get",
  path: "/v1/workspaces/{workspace}",
  operationId: "getWorkspace",
  tags: ["workspaces"],
  summary: "Get a workspace",
  ...secured("workspaces:read"),
  request: { params: model.workspaceParams },
  responses: { 200: jsonAnswer(model.workspaceItem, "The workspace"), ...readRefusals("not_found") },
});

const listWorkspaces = createRoute({
  method: "get",
  path: "/v1/workspaces",
  operationId: "listWorkspaces",
  tags: ["workspaces"],
  summary: "List workspaces",
  description: "Newest first. For an operator's key.",
  ...secured("workspaces:read"),
  request: { query: listQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.workspaceItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const freeze = createRoute({
  method: "post",
  path: "/v1/workspaces/{workspace}/freeze",
  operationId: "freezeWorkspace",
  tags: ["workspaces"],
  summary: "Freeze a workspace",
  description:
    "It spends, holds and buys nothing until it is unfrozen; what is held may still be settled or released. Freezing again " +
    "answers the first time and reason.",
  ...secured("workspaces:write"),
  request: { params: model.workspaceParams, headers: idempotencyOptional, body: jsonBody(model.freezeBody) },
  responses: {
    200: keyedAnswer(model.frozenAnswer, "Frozen"),
    ...writeRefusals("not_found"),
  },
});

const unfreeze = createRoute({
  method: "post",
  path: "/v1/workspaces/{workspace}/unfreeze",
  operationId: "unfreezeWorkspace",
  tags: ["workspaces"],
  summary: "Unfreeze a workspace",
  description: "It may write again, unless it is read-only. Doing it again changes nothing.",
  ...secured("workspaces:write"),
  request: { params: model.workspaceParams, headers: idempotencyOptional, body: jsonBody(model.unfreezeBody) },
  responses: {
    200: keyedAnswer(model.frozenAnswer, "Not frozen"),
    ...writeRefusals("not_found"),
  },
});

const createKey = createRoute({
  method: "post",
  path: "/v1/keys",
  operationId: "createKey",
  tags: ["keys"],
  summary: "Create an API key",
  description:
    "The answer shows the key, this once. A workspace's key reaches that workspace only, and holds none of an operator's " +
    "scopes: it spends and holds, and cannot grant. No key gives a scope that it lacks.",
  ...secured("keys:write"),
  request: { headers: idempotencyOptional, body: jsonBody(model.keyBody) },
  responses: {
    201: keyedAnswer(model.keyAnswer, "Created"),
    ...writeRefusals("operator_key_required", "not_found", "scope_not_for_workspace"),
  },
});

const listKeys = createRoute({
  method: "get",
  path: "/v1/keys",
  operationId: "listKeys",
  tags: ["keys"],
  summary: "List API keys",
  description: "Newest first, revoked ones too, without the keys themselves. For an operator's key.",
  ...secured("keys:read"),
  request: { query: listQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.keyItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const revokeKey = createRoute({
  method: "post",
  path: "/v1/keys/{key}/revoke",
  operationId: "revokeKey",
  tags: ["keys"],
  summary: "Revoke an API key",
  description: "It stops working with the next request. Revoking again answers the same.",
  ...secured("keys:write"),
  request: { params: model.keyParams, headers: idempotencyOptional, body: jsonBody(model.revokeBody) },
  responses: {
    200: keyedAnswer(model.revokedAnswer, "Revoked"),
    ...writeRefusals("operator_key_required", "not_found"),
  },
});

/** The operator's customers. */
export const workspaces = router()
  .openapi(createWorkspace, async (c) => c.json(await store.createWorkspace(c, c.req.valid("json").name), 201))
  .openapi(getWorkspace, async (c) => c.json(await store.getWorkspace(c, c.req.valid("param").workspace), 200))
  .openapi(listWorkspaces, async (c) => {
    const page = pageOf(c.req.valid("query"));
    return c.json(
      cut(await store.listWorkspaces(c, page), page, ({ id }) => id),
      200,
    );
  })
  .openapi(freeze, async (c) => {
    return c.json(await store.freeze(c, c.req.valid("param").workspace, c.req.valid("json").reason), 200);
  })
  .openapi(unfreeze, async (c) => c.json(await store.unfreeze(c, c.req.valid("param").workspace), 200));

/** API keys, the operator's and the workspaces'. */
export const keys = router()
  .openapi(createKey, async (c) => c.json(await store.createKey(c, c.req.valid("json")), 201))
  .openapi(listKeys, async (c) => {
    const page = pageOf(c.req.valid("query"));
    return c.json(
      cut(await store.listKeys(c, page), page, ({ id }) => id),
      200,
    );
  })
  .openapi(revokeKey, async (c) => c.json(await store.revokeKey(c, c.req.valid("param").key), 200));
