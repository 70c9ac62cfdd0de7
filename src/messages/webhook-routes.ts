import { createRoute } from "@hono/zod-openapi";
import { permitted } from "../db/read.ts";
import { settings } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import { cut, pageAnswer, pageOf } from "../http/pagination.ts";
import { Problem } from "../http/problem.ts";
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
import { urlFault } from "../outside/webhook/address.ts";
import { endpointSecret } from "../outside/webhook/secret.ts";
import * as model from "./webhook-model.ts";
import * as store from "./webhooks.ts";

const path = "/v1/webhook_endpoints";
const tags = ["webhooks"];
const reads = secured("webhooks:read");
const writes = secured("webhooks:write");

const create = createRoute({
  method: "post",
  path,
  operationId: "createWebhookEndpoint",
  tags,
  summary: "Create a webhook endpoint",
  description: "An address of yours that is told of events, from now on. The answer shows the secret that signs them.",
  ...writes,
  request: { headers: idempotencyOptional, body: jsonBody(model.endpointBody) },
  responses: {
    201: keyedAnswer(model.endpointMade, "Created"),
    ...writeRefusals("operator_key_required", "webhook_url_refused", "misconfigured"),
  },
});

const list = createRoute({
  method: "get",
  path,
  operationId: "listWebhookEndpoints",
  tags,
  summary: "List webhook endpoints",
  description: "Newest first.",
  ...reads,
  request: { query: model.endpointsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.endpointItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const get = createRoute({
  method: "get",
  path: `${path}/{endpoint}`,
  operationId: "getWebhookEndpoint",
  tags,
  summary: "Get a webhook endpoint",
  ...reads,
  request: { params: model.endpointParams },
  responses: {
    200: jsonAnswer(model.endpointItem, "The endpoint"),
    ...readRefusals("operator_key_required", "not_found"),
  },
});

const change = createRoute({
  method: "patch",
  path: `${path}/{endpoint}`,
  operationId: "changeWebhookEndpoint",
  tags,
  summary: "Change a webhook endpoint",
  description:
    "What is left out stays. Enabled again, or at another address, its failures are forgotten; what was given up meanwhile is " +
    "sent by a replay.",
  ...writes,
  request: { params: model.endpointParams, headers: idempotencyOptional, body: jsonBody(model.endpointChange) },
  responses: {
    200: keyedAnswer(model.endpointItem, "Changed"),
    ...writeRefusals("operator_key_required", "not_found", "webhook_url_refused"),
  },
});

const remove = createRoute({
  method: "delete",
  path: `${path}/{endpoint}`,
  operationId: "deleteWebhookEndpoint",
  tags,
  summary: "Delete a webhook endpoint",
  description: "It is told nothing more, neither what waits. The log of its deliveries stays.",
  ...writes,
  request: { params: model.endpointParams, headers: idempotencyOptional },
  responses: {
    200: keyedAnswer(model.deletedAnswer, "Deleted"),
    ...writeRefusals("operator_key_required", "not_found"),
  },
});

const rotate = createRoute({
  method: "post",
  path: `${path}/{endpoint}/rotate`,
  operationId: "rotateWebhookSecret",
  tags,
  summary: "Rotate the secret of a webhook endpoint",
  description:
    "The answer shows the new one. For a while both sign each delivery, so that you can change over in peace.",
  ...writes,
  request: { params: model.endpointParams, headers: idempotencyOptional, body: jsonBody(model.rotateBody) },
  responses: {
    200: keyedAnswer(model.rotatedAnswer, "Rotated"),
    ...writeRefusals("operator_key_required", "not_found", "misconfigured"),
  },
});

const test = createRoute({
  method: "post",
  path: `${path}/{endpoint}/test`,
  operationId: "testWebhookEndpoint",
  tags,
  summary: "Send a test to a webhook endpoint",
  description: "An event of type `webhook.test`, whatever it listens to. Its deliveries say what became of it.",
  ...writes,
  request: { params: model.endpointParams, headers: idempotencyOptional, body: jsonBody(model.nothingBody) },
  responses: {
    201: keyedAnswer(model.testedAnswer, "It is on its way"),
    ...writeRefusals("operator_key_required", "not_found", "endpoint_disabled"),
  },
});

const replaySince = createRoute({
  method: "post",
  path: `${path}/{endpoint}/replay`,
  operationId: "replayWebhookEndpoint",
  tags,
  summary: "Send again what an endpoint missed",
  description: "Whatever was tried ten times in vain since then, the oldest first, a thousand a call.",
  ...writes,
  request: { params: model.endpointParams, headers: idempotencyOptional, body: jsonBody(model.replaySinceBody) },
  responses: {
    200: keyedAnswer(model.replayedSinceAnswer, "They are on their way"),
    ...writeRefusals("operator_key_required", "not_found", "endpoint_disabled"),
  },
});

const deliveries = createRoute({
  method: "get",
  path: `${path}/{endpoint}/deliveries`,
  operationId: "listWebhookDeliveries",
  tags,
  summary: "List what went to a webhook endpoint",
  description: "Newest first, for 35 days; also of one that was deleted.",
  ...reads,
  request: { params: model.endpointParams, query: model.deliveriesQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.deliveryItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required", "not_found"),
  },
});

const listEvents = createRoute({
  method: "get",
  path: "/v1/webhook_events",
  operationId: "listWebhookEvents",
  tags,
  summary: "List webhook events",
  description: "What endpoints were told, newest first, for 35 days. What no endpoint listened to is not kept.",
  ...reads,
  request: { query: model.eventsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.eventItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const replay = createRoute({
  method: "post",
  path: "/v1/webhook_events/{event}/replay",
  operationId: "replayWebhookEvent",
  tags,
  summary: "Send a webhook event again",
  description: "Under the same id, to one endpoint or to all that listen to its type.",
  ...writes,
  request: { params: model.eventParams, headers: idempotencyOptional, body: jsonBody(model.replayBody) },
  responses: {
    200: keyedAnswer(model.replayedAnswer, "It is on its way"),
    ...writeRefusals("operator_key_required", "not_found", "endpoint_disabled"),
  },
});

/** What the endpoints' secrets are made from. Whoever may not ask is told that first. Throws `misconfigured`. */
async function keyOf(c: AppContext): Promise<Uint8Array<ArrayBuffer>> {
  const { webhook_key } = settings(c.env);
  if (webhook_key === null) {
    await permitted(c, { scope: "webhooks:write", workspace: null });
    throw new Problem("misconfigured", {}, { cause: new Error("there is no key to make webhook secrets from") });
  }
  return webhook_key;
}

/** Throws `webhook_url_refused` for an address that nothing may be sent to. */
async function admitUrl(c: AppContext, url: string): Promise<void> {
  const detail = urlFault(url, settings(c.env));
  if (detail !== null) {
    await permitted(c, { scope: "webhooks:write", workspace: null });
    throw new Problem("webhook_url_refused", { detail });
  }
}

/** Outbound webhooks, for operators. */
export const webhooks = router()
  .openapi(create, async (c) => {
    const key = await keyOf(c);
    const body = c.req.valid("json");
    await admitUrl(c, body.url);
    const { secret_number, ...made } = await store.createEndpoint(c, body);
    const secret = await endpointSecret(key, made.id, secret_number);
    const begins = { enabled: true, disabled_at: null, disabled_reason: null, failing_since: null, error: null };
    return c.json({ ...made, ...begins, old_secret_until: null, secret }, 201);
  })
  .openapi(list, async (c) => {
    const page = pageOf(c.req.valid("query"));
    return c.json(
      cut(await store.listEndpoints(c, page), page, ({ id }) => id),
      200,
    );
  })
  .openapi(get, async (c) => c.json(await store.getEndpoint(c, c.req.valid("param").endpoint), 200))
  .openapi(change, async (c) => {
    const body = c.req.valid("json");
    if (body.url !== undefined) await admitUrl(c, body.url);
    return c.json(await store.changeEndpoint(c, c.req.valid("param").endpoint, body), 200);
  })
  .openapi(remove, async (c) => c.json(await store.deleteEndpoint(c, c.req.valid("param").endpoint), 200))
  .openapi(rotate, async (c) => {
    const key = await keyOf(c);
    const { id, secret_number, secret_old_until } = await store.rotateEndpoint(
      c,
      c.req.valid("param").endpoint,
      c.req.valid("json").keep_old_for,
    );
    return c.json(
      { id, secret: await endpointSecret(key, id, secret_number), old_secret_until: secret_old_until },
      200,
    );
  })
  .openapi(test, async (c) => c.json(await store.testEndpoint(c, c.req.valid("param").endpoint), 201))
  .openapi(replaySince, async (c) =>
    c.json(await store.replayEndpoint(c, c.req.valid("param").endpoint, c.req.valid("json").since), 200),
  )
  .openapi(deliveries, async (c) => {
    const page = pageOf(c.req.valid("query"));
    return c.json(
      cut(await store.listDeliveries(c, c.req.valid("param").endpoint, page), page, ({ id }) => id),
      200,
    );
  })
  .openapi(listEvents, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    return c.json(
      cut(await store.listEvents(c, page, query.type), page, ({ id }) => id),
      200,
    );
  })
  .openapi(replay, async (c) =>
    c.json(await store.replayEvent(c, c.req.valid("param").event, c.req.valid("json").endpoint_id), 200),
  );
