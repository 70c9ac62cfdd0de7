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
import * as model from "./model.ts";
import * as store from "./store.ts";

const listMessages = createRoute({
  method: "get",
  path: "/v1/messages",
  operationId: "listMessages",
  tags: ["ops"],
  summary: "List messages",
  description: "What is to leave the house, and what became of it, newest first.",
  ...secured("ops:read"),
  request: { query: model.messagesQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.messageItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const retryMessage = createRoute({
  method: "post",
  path: "/v1/messages/{message}/retry",
  operationId: "retryMessage",
  tags: ["ops"],
  summary: "Send a dead message again",
  description: "Once its cause is mended. One that is not dead stays as it is.",
  ...secured("ops:write"),
  request: { params: model.messageParams, headers: idempotencyOptional, body: jsonBody(model.retryBody) },
  responses: {
    200: keyedAnswer(model.retryAnswer, "Its state"),
    ...writeRefusals("operator_key_required", "not_found"),
  },
});

const listChannels = createRoute({
  method: "get",
  path: "/v1/channels",
  operationId: "listChannels",
  tags: ["ops"],
  summary: "See how the channels do",
  description:
    "Those that this deployment delivers: what waits, for how long, what died, and whether one is left alone because it fails.",
  ...secured("ops:read"),
  responses: { 200: jsonAnswer(model.channelsAnswer, "The channels"), ...readRefusals("operator_key_required") },
});

const retryChannel = createRoute({
  method: "post",
  path: "/v1/channels/{channel}/retry",
  operationId: "retryChannel",
  tags: ["ops"],
  summary: "Send a channel's dead messages again",
  description:
    "The oldest 1,000, once their cause is mended; what waits because the channel failed is sent at once, too.",
  ...secured("ops:write"),
  request: { params: model.channelParams, headers: idempotencyOptional, body: jsonBody(model.retryBody) },
  responses: {
    200: keyedAnswer(model.channelRetryAnswer, "How many"),
    ...writeRefusals("operator_key_required", "not_found"),
  },
});

/** The outbox, for operators. */
export const messages = router()
  .openapi(listMessages, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    return c.json(
      cut(await store.listMessages(c, page, query), page, ({ id }) => id),
      200,
    );
  })
  .openapi(retryMessage, async (c) => c.json(await store.retryMessage(c, c.req.valid("param").message), 200))
  .openapi(listChannels, async (c) => c.json({ data: await store.listChannels(c) }, 200))
  .openapi(retryChannel, async (c) => c.json(await store.retryChannel(c, c.req.valid("param").channel), 200));
