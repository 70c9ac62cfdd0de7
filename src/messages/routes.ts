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

/** The outbox, for operators. */
export const messages = router()
  .openapi(listMessages, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    return c.json(
      cut(await store.listMessages(c, page, query.state), page, ({ id }) => id),
      200,
    );
  })
  .openapi(retryMessage, async (c) => c.json(await store.retryMessage(c, c.req.valid("param").message), 200));
