import { createRoute } from "@hono/zod-openapi";
import { cut, cursorPlace, pageAnswer, pageOf } from "../http/pagination.ts";
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
import { differences } from "./differences.ts";
import * as model from "./model.ts";
import * as store from "./store.ts";

const getAccess = createRoute({
  method: "get",
  path: "/v1/access/{key}",
  operationId: "getAccess",
  tags: ["access"],
  summary: "Ask whether an access key is valid",
  description:
    "The question at the door. A key that is unknown, one that was revoked and one whose subscription is no longer paid are " +
    "answered alike. For an operator's key.",
  ...secured("access:read"),
  request: { params: model.accessParams },
  responses: {
    200: jsonAnswer(model.accessAnswer, "Whether it is valid, and until when"),
    ...readRefusals("operator_key_required"),
  },
});

const listWorkspaceKeys = createRoute({
  method: "get",
  path: "/v1/workspaces/{workspace}/access_keys",
  operationId: "listWorkspaceAccessKeys",
  tags: ["access"],
  summary: "List a workspace's access keys",
  description: "Newest first, those that were revoked too: what its customer is let in by.",
  ...secured("billing:read"),
  request: { params: model.workspaceParams, query: model.keysQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.keyItem()), "A page"),
    ...readRefusals("cursor_invalid", "not_found"),
  },
});

const listUnfinished = createRoute({
  method: "get",
  path: "/v1/access_keys",
  operationId: "listUnfinishedAccessKeys",
  tags: ["access"],
  summary: "List the access keys that are to be added or removed",
  description: "The oldest first, of all workspaces: for whoever provisions, and asks. For an operator's key.",
  ...secured("access:read"),
  request: { query: model.unfinishedQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.keyItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const confirm = createRoute({
  method: "post",
  path: "/v1/access_keys/{access_key}/confirm",
  operationId: "confirmAccessKey",
  tags: ["access"],
  summary: "Confirm that an access key was added or removed",
  description:
    "From whoever provisions. Saying it again changes nothing. What is no longer so, `active` of a key that was revoked meanwhile, " +
    "is refused: remove it.",
  ...secured("access:write"),
  request: { params: model.keyParams, headers: idempotencyOptional, body: jsonBody(model.confirmBody) },
  responses: {
    200: keyedAnswer(model.confirmedAnswer, "Confirmed"),
    ...writeRefusals("operator_key_required", "not_found", "key_moved_on"),
  },
});

const listDifferences = createRoute({
  method: "get",
  path: "/v1/provisioner/reconcile",
  operationId: "listProvisionerDifferences",
  tags: ["access"],
  summary: "Compare the provisioner's keys, and change nothing",
  description:
    "What the sweep `provisioner_reconcile` would do: a page of the provisioner's list, 1000 keys at most, against the access keys. " +
    "For an operator's key.",
  ...secured("access:read"),
  request: { query: model.differencesQuery },
  responses: {
    200: jsonAnswer(model.differencesAnswer, "A page of what differs"),
    ...readRefusals("cursor_invalid", "operator_key_required", "provisioner_unavailable"),
  },
});

const removeStrays = createRoute({
  method: "post",
  path: "/v1/provisioner/strays/remove",
  operationId: "removeStrays",
  tags: ["access"],
  summary: "Have many strays removed at the provisioner",
  description:
    "Keys that no access key here stands for, when they are more than are removed by themselves within a day (the alarm `strays_many`). Look at them " +
    "before: `GET /v1/provisioner/reconcile`. The next pass removes those that wait now, if it comes within a day; where others have come to " +
    "wait by then, it removes none, and says so. Saying it again changes nothing. For an operator's key.",
  ...secured("access:write"),
  request: { headers: idempotencyOptional, body: jsonBody(model.strayBody) },
  responses: {
    200: keyedAnswer(model.strayAnswer, "What the next pass removes"),
    ...writeRefusals("operator_key_required", "strays_more"),
  },
});

/** Who is let in. */
export const access = router()
  .openapi(getAccess, async (c) => c.json(await store.getAccess(c, c.req.valid("param").key), 200))
  .openapi(listWorkspaceKeys, async (c) => {
    const page = pageOf(c.req.valid("query"));
    return c.json(
      cut(await store.listKeys(c, c.req.valid("param").workspace, page), page, ({ id }) => id),
      200,
    );
  })
  .openapi(listUnfinished, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    return c.json(
      cut(await store.listUnfinished(c, page, query.state), page, ({ id }) => id),
      200,
    );
  })
  .openapi(listDifferences, async (c) => c.json(await differences(c, cursorPlace(c.req.valid("query").cursor)), 200))
  .openapi(removeStrays, async (c) => c.json(await store.approveStrays(c, c.req.valid("json").most), 200))
  .openapi(confirm, async (c) => {
    return c.json(await store.confirm(c, c.req.valid("param").access_key, c.req.valid("json").state), 200);
  });
