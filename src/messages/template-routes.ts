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
import * as model from "./template-model.ts";
import * as store from "./templates.ts";

const tags = ["templates"];

const listKinds = createRoute({
  method: "get",
  path: "/v1/message_kinds",
  operationId: "listMessageKinds",
  tags,
  summary: "List the kinds of messages to people",
  description: "What the house has to say, and what a text of each may name. For an operator's key.",
  ...secured("messages:read"),
  responses: { 200: jsonAnswer(model.kindsAnswer, "The kinds"), ...readRefusals("operator_key_required") },
});

const listTemplates = createRoute({
  method: "get",
  path: "/v1/templates",
  operationId: "listTemplates",
  tags,
  summary: "List templates",
  description: "All that were ever saved, newest first. For an operator's key.",
  ...secured("messages:read"),
  request: { query: model.templatesQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.savedItem()), "A page"),
    ...readRefusals("operator_key_required", "cursor_invalid"),
  },
});

const getTemplate = createRoute({
  method: "get",
  path: "/v1/templates/current",
  operationId: "getTemplate",
  tags,
  summary: "Get a template",
  description:
    "What a reader of this language is told: the newest text of the language, else of it without its country, else in English, else what " +
    "comes with the house. For an operator's key.",
  ...secured("messages:read"),
  request: { query: model.currentQuery },
  responses: {
    200: jsonAnswer(model.templateItem, "The template"),
    ...readRefusals("operator_key_required", "not_found"),
  },
});

const putTemplate = createRoute({
  method: "put",
  path: "/v1/templates",
  operationId: "putTemplate",
  tags,
  summary: "Save a template",
  description:
    "It counts for what is sent from now on, but for broadcasts that have started. A text that names what its kind does not have is " +
    "refused. The same text again is no new number.",
  ...secured("messages:write"),
  request: { headers: idempotencyOptional, body: jsonBody(model.templateBody) },
  responses: { 200: keyedAnswer(model.savedItem, "The template"), ...writeRefusals("operator_key_required") },
});

const preview = createRoute({
  method: "post",
  path: "/v1/templates/preview",
  operationId: "previewTemplate",
  tags,
  summary: "See what would be sent",
  description: "A text that is tried, or the one that counts, with sample data or yours. Nothing is sent.",
  ...secured("messages:read"),
  request: { body: jsonBody(model.previewBody) },
  responses: {
    200: jsonAnswer(model.letterAnswer, "The letter"),
    ...writeRefusals("operator_key_required", "not_found"),
  },
});

/** What is said to people. */
export const templates = router()
  .openapi(listKinds, async (c) => c.json({ data: await store.listKinds(c) }, 200))
  .openapi(listTemplates, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    return c.json(
      cut(await store.listTemplates(c, page, query.kind), page, ({ id }) => id),
      200,
    );
  })
  .openapi(getTemplate, async (c) => c.json(await store.getTemplate(c, c.req.valid("query")), 200))
  .openapi(putTemplate, async (c) => c.json(await store.putTemplate(c, c.req.valid("json")), 200))
  .openapi(preview, async (c) => c.json(await store.previewLetter(c, c.req.valid("json")), 200));
