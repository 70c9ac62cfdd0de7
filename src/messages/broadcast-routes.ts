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
import * as model from "./broadcast-model.ts";
import * as store from "./broadcasts.ts";

const tags = ["broadcasts"];

const createBroadcast = createRoute({
  method: "post",
  path: "/v1/broadcasts",
  operationId: "createBroadcast",
  tags,
  summary: "Draft a broadcast",
  description: "One message to many: a text, its data, and to whom. Nothing is sent before it is started.",
  ...secured("messages:write"),
  request: { headers: idempotencyOptional, body: jsonBody(model.broadcastBody) },
  responses: {
    201: keyedAnswer(model.broadcastItem, "The draft"),
    ...writeRefusals("operator_key_required", "template_unknown", "data_missing"),
  },
});

const dryRun = createRoute({
  method: "post",
  path: "/v1/broadcasts/dry_run",
  operationId: "countBroadcast",
  tags,
  summary: "Count whom a broadcast would go to",
  description: "By the body of one that is to be drafted: to how many contacts, and whether it could. Nothing is kept.",
  ...secured("messages:read"),
  request: { body: jsonBody(model.broadcastBody) },
  responses: {
    200: jsonAnswer(model.countAnswer, "How many"),
    ...writeRefusals("operator_key_required", "template_unknown", "data_missing"),
  },
});

const listBroadcasts = createRoute({
  method: "get",
  path: "/v1/broadcasts",
  operationId: "listBroadcasts",
  tags,
  summary: "List broadcasts",
  description: "Newest first.",
  ...secured("messages:read"),
  request: { query: model.broadcastsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.broadcastItem()), "A page"),
    ...readRefusals("operator_key_required", "cursor_invalid"),
  },
});

const getBroadcast = createRoute({
  method: "get",
  path: "/v1/broadcasts/{broadcast}",
  operationId: "getBroadcast",
  tags,
  summary: "See how far a broadcast has come",
  ...secured("messages:read"),
  request: { params: model.broadcastParams },
  responses: {
    200: jsonAnswer(model.progressAnswer, "The broadcast"),
    ...readRefusals("operator_key_required", "not_found"),
  },
});

/** How a person moves a broadcast. */
const move = (to: "start" | "stop" | "resume", summary: string, description: string) =>
  createRoute({
    method: "post",
    path: `/v1/broadcasts/{broadcast}/${to}`,
    operationId: `${to}Broadcast`,
    tags,
    summary,
    description,
    ...secured("messages:write"),
    request: { params: model.broadcastParams, headers: idempotencyOptional, body: jsonBody(model.moveBody) },
    responses: {
      200: keyedAnswer(model.movedAnswer, "Done, or so already"),
      ...writeRefusals(
        "operator_key_required",
        "not_found",
        "broadcast_moved_on",
        ...(to === "start" ? (["template_unknown", "data_missing"] as const) : []),
      ),
    },
  });

const start = move(
  "start",
  "Start a broadcast",
  "It goes to the contacts that there are now, and says to all of them what its texts are now. Whether one is of its segment is decided " +
    "when its turn comes.",
);
const stop = move(
  "stop",
  "Stop a broadcast",
  "What is queued waits. What is being sent at this moment, some two dozen messages, may still go.",
);
const resume = move(
  "resume",
  "Resume a broadcast",
  "It goes on where it was stopped: nobody is skipped, and nobody is told twice.",
);

/** One message to many. */
export const broadcasts = router()
  .openapi(createBroadcast, async (c) => c.json(await store.createBroadcast(c, c.req.valid("json")), 201))
  .openapi(dryRun, async (c) => c.json(await store.countBroadcast(c, c.req.valid("json")), 200))
  .openapi(listBroadcasts, async (c) => {
    const page = pageOf(c.req.valid("query"));
    return c.json(
      cut(await store.listBroadcasts(c, page), page, ({ id }) => id),
      200,
    );
  })
  .openapi(getBroadcast, async (c) => c.json(await store.getBroadcast(c, c.req.valid("param").broadcast), 200))
  .openapi(start, async (c) => c.json(await store.moveBroadcast(c, c.req.valid("param").broadcast, "start"), 200))
  .openapi(stop, async (c) => c.json(await store.moveBroadcast(c, c.req.valid("param").broadcast, "stop"), 200))
  .openapi(resume, async (c) => c.json(await store.moveBroadcast(c, c.req.valid("param").broadcast, "resume"), 200));
