import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
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
