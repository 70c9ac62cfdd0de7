import * as z from "zod";
import { pageQuery, timedPageQuery } from "../http/pagination.ts";
import { moment, uuid } from "../http/parameters.ts";

const count = z.int().min(0);

/** What the database or a domain wrote down about a thing; its members depend on the code or action. */
const detail = z.record(z.string(), z.unknown());

export const healthAnswer = () => z.object({ status: z.literal("alive") });

export const readyAnswer = () =>
  z.object({
    status: z.literal("ready"),
    latency_ms: count.meta({ description: "One round trip to the database, as the Worker saw it." }),
    database_time: moment,
    connections: count,
    connections_allowed: count,
    oldest_transaction_seconds: count,
    sweep_lag_seconds: count.meta({ description: "Since a sweep last started; above 120, no tick comes." }),
    sweeps_running: count,
    parked: count.meta({ description: "Rows that a sweep could not process and will try again." }),
    open_alarms: count.meta({ description: "See GET /v1/alarms." }),
    inbox_open: count.meta({ description: "Events that came and have no effect yet. See GET /v1/events." }),
    inbox_lag_seconds: count.meta({ description: "For how long the oldest of them has been here." }),
    outbox_lag_seconds: count.meta({ description: "For how long the oldest message has been due that has not left." }),
  });

export const alarmsQuery = z.strictObject({ ...pageQuery, state: z.enum(["open", "closed"]).default("open") });

export const alarmItem = () =>
  z.object({
    id: uuid,
    code: z.string().meta({ example: "sweep_failed" }),
    subject: z.string(),
    detail,
    times: count.meta({ description: "How often it was raised while open." }),
    opened_at: moment,
    last_seen_at: moment,
    closed_at: moment.nullable(),
  });

export const sweepsAnswer = () =>
  z.object({
    data: z.array(
      z.object({
        name: z.string(),
        interval_seconds: count,
        batch: count,
        budget_seconds: count,
        running: z.boolean(),
        last_started_at: moment.nullable(),
        lag_seconds: count.nullable().meta({ description: "Since the last start; null before the first." }),
        last_run: z
          .object({
            id: uuid,
            finished_at: moment.nullable(),
            processed: count,
            failed: count,
            more: z.boolean(),
            error: z.string().nullable(),
          })
          .nullable(),
      }),
    ),
  });

export const sweepParams = z.strictObject({ sweep: z.string().regex(/^[\w-]{1,63}$/, "must be a sweep's name") });
export const runBody = z.strictObject({});

export const runAnswer = () =>
  z.object({
    id: uuid.meta({ description: "The run's." }),
    name: z.string().meta({ example: "stripe_events" }),
    processed: count,
    failed: count,
    more: z.boolean().meta({ description: "Its 15 seconds were over before its work was; the next run goes on." }),
    error: z.string().nullable(),
  });

export const auditQuery = z.strictObject({ ...pageQuery, workspace_id: uuid.optional() });

export const auditItem = () =>
  z.object({
    id: uuid,
    workspace_id: uuid.nullable(),
    actor: z.string(),
    action: z.string().meta({ example: "api_key.create" }),
    subject: z.string(),
    detail,
    created_at: moment,
  });

export const eventState = z.enum(["applied", "ignored", "foreign", "parked", "failed", "fetching", "dead"]);

export type EventState = z.infer<typeof eventState>;

const eventId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,255}$/, "must be an event's id")
  .meta({ example: "evt_1Nxyz4711" });

export const eventsQuery = z.strictObject({ ...timedPageQuery, state: eventState.optional() });
export const eventParams = z.strictObject({ event: eventId });
export const replayBody = z.strictObject({});

export const eventItem = () =>
  z.object({
    provider: z.string().meta({ example: "stripe" }),
    id: eventId,
    type: z.string().meta({ example: "invoice.paid" }),
    subject: z.string().nullable().meta({ description: "The object's id there.", example: "in_1Nxyz4711" }),
    state: eventState.meta({
      description:
        "`parked`: it waits for what it refers to. `failed`: it is tried again. `fetching`: its object is to be fetched. " +
        "`dead`: it was tried often enough. `foreign`: it is not this deployment's. `ignored`: it has no effect.",
    }),
    outcome: z.string().nullable().meta({ description: "What its effect was." }),
    error: z.string().nullable(),
    waits_for: z.string().nullable(),
    attempts: count,
    next_attempt_at: moment.nullable(),
    occurred_at: moment,
    received_at: moment,
    applied_at: moment.nullable(),
  });

export const wholeEvent = () =>
  eventItem().extend({ payload: z.string().meta({ description: "The body as it came." }) });

export const replayedAnswer = () =>
  z.object({
    provider: z.string(),
    id: eventId,
    state: eventState,
    outcome: z.string().nullable(),
    error: z.string().nullable(),
  });
