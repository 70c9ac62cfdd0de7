import { createRoute } from "@hono/zod-openapi";
import { settings } from "../env.ts";
import { cut, pageAnswer, pageOf, timedCut, timedPageOf } from "../http/pagination.ts";
import { Problem } from "../http/problem.ts";
import {
  idempotencyOptional,
  jsonAnswer,
  jsonBody,
  keyedAnswer,
  readRefusals,
  refusals,
  secured,
  writeRefusals,
} from "../http/route.ts";
import { router } from "../http/router.ts";
import { registry } from "../sweeps/registry.ts";
import { runNow } from "../sweeps/run.ts";
import * as inbox from "./events.ts";
import * as model from "./model.ts";
import * as store from "./store.ts";

/** A probe that waits longer than this has its answer. */
const readyWithinMs = 5_000;

const tags = ["ops"];

const health = createRoute({
  method: "get",
  path: "/health",
  operationId: "getHealth",
  tags,
  summary: "Does the Worker live?",
  description: "Asks nothing of the database.",
  responses: { 200: jsonAnswer(model.healthAnswer, "It does") },
});

const ready = createRoute({
  method: "get",
  path: "/ready",
  operationId: "getReadiness",
  tags,
  summary: "Does the database answer?",
  responses: {
    200: jsonAnswer(model.readyAnswer, "It does"),
    ...refusals(["database_unavailable", "misconfigured"]),
  },
});

const alarms = createRoute({
  method: "get",
  path: "/v1/alarms",
  operationId: "listAlarms",
  tags,
  summary: "List alarms",
  description: "What a person must look at, newest first. One is open once for each code and subject.",
  ...secured("ops:read"),
  request: { query: model.alarmsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.alarmItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const sweeps = createRoute({
  method: "get",
  path: "/v1/sweeps",
  operationId: "listSweeps",
  tags,
  summary: "List sweeps",
  description: "Every sweep of the registry with its last run.",
  ...secured("ops:read"),
  responses: { 200: jsonAnswer(model.sweepsAnswer, "All of them"), ...readRefusals("operator_key_required") },
});

const run = createRoute({
  method: "post",
  path: "/v1/sweeps/{sweep}/run",
  operationId: "runSweep",
  tags,
  summary: "Run a sweep now",
  description: "Whether or not it is due. Running one again at once changes nothing.",
  ...secured("ops:write"),
  request: { params: model.sweepParams, body: jsonBody(model.runBody) },
  responses: {
    200: jsonAnswer(model.runAnswer, "It ran"),
    ...writeRefusals("operator_key_required", "not_found", "sweep_running"),
  },
});

const audit = createRoute({
  method: "get",
  path: "/v1/audit",
  operationId: "listAudit",
  tags,
  summary: "List the audit",
  description: "Who changed what, newest first. Rows are never changed or removed.",
  ...secured("ops:read"),
  request: { query: model.auditQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.auditItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const listEvents = createRoute({
  method: "get",
  path: "/v1/events",
  operationId: "listEvents",
  tags,
  summary: "List events",
  description:
    "What came from Stripe and BTCPay Server, the last to come first, and what became of it. What is over goes after 35 days.",
  ...secured("ops:read"),
  request: { query: model.eventsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.eventItem()), "A page"),
    ...readRefusals("cursor_invalid", "operator_key_required"),
  },
});

const getEvent = createRoute({
  method: "get",
  path: "/v1/events/{event}",
  operationId: "getEvent",
  tags,
  summary: "Get an event",
  ...secured("ops:read"),
  request: { params: model.eventParams },
  responses: {
    200: jsonAnswer(model.wholeEvent, "The event, with its body"),
    ...readRefusals("operator_key_required", "not_found"),
  },
});

const replayEvent = createRoute({
  method: "post",
  path: "/v1/events/{event}/replay",
  operationId: "replayEvent",
  tags,
  summary: "Apply an event again",
  description: "Whatever became of it. What it did already is not done twice.",
  ...secured("ops:write"),
  request: { params: model.eventParams, headers: idempotencyOptional, body: jsonBody(model.replayBody) },
  responses: {
    200: keyedAnswer(model.replayedAnswer, "What became of it now"),
    ...writeRefusals("operator_key_required", "not_found"),
  },
});

/** What came from outside. */
export const events = router()
  .openapi(listEvents, async (c) => {
    const query = c.req.valid("query");
    const page = timedPageOf(query);
    const rows = await inbox.listEvents(c, page, query.state);
    return c.json(
      timedCut(rows, page, ({ received_at, id }) => ({ at: received_at, name: id })),
      200,
    );
  })
  .openapi(getEvent, async (c) => c.json(await inbox.getEvent(c, c.req.valid("param").event), 200))
  .openapi(replayEvent, async (c) => c.json(await inbox.replayEvent(c, c.req.valid("param").event), 200));

/** How the house is. */
export const house = router()
  .openapi(health, (c) => c.json({ status: "alive" as const }, 200))
  .openapi(ready, async (c) => {
    const { database } = settings(c.env);
    const started = performance.now();
    const late = AbortSignal.timeout(readyWithinMs);
    const answer = await Promise.race([
      store.readiness(database, c.get("trace")),
      new Promise<never>((_, reject) => {
        late.addEventListener("abort", () => reject(new Error(`no answer within ${readyWithinMs} ms`)));
      }),
    ]).catch((cause: unknown) => {
      throw new Problem("database_unavailable", {}, { cause });
    });
    const latency_ms = Math.round(performance.now() - started);
    return c.json({ status: "ready" as const, latency_ms, ...answer }, 200);
  })
  .openapi(alarms, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    return c.json(
      cut(await store.listAlarms(c, page, query.state), page, ({ id }) => id),
      200,
    );
  })
  .openapi(sweeps, async (c) => {
    const runs = await store.lastRuns(c);
    const never = { running: false, last_started_at: null, lag_seconds: null, last_run: null };
    const data = registry.map(({ name, interval_seconds, batch, budget_ms }) =>
      Object.assign({ name, interval_seconds, batch, budget_seconds: budget_ms / 1000 }, runs.get(name) ?? never),
    );
    return c.json({ data }, 200);
  })
  .openapi(run, async (c) => c.json(await runNow(c, c.req.valid("param").sweep), 200))
  .openapi(audit, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    return c.json(
      cut(await store.listAudit(c, page, query.workspace_id), page, ({ id }) => id),
      200,
    );
  });
