import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  customType,
  index,
  integer,
  interval,
  json,
  jsonb,
  pgSchema,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { time } from "./columns.ts";

/** What runs the house: requests, lifecycles, audit, alarms, sweeps, the clock. */
export const ops = pgSchema("ops");

const bytes = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });

/**
 * The first answer to each request with an idempotency key; null workspace: the operator's.
 * Growth: one row per write; `ops.requests_expire` drops it after 35 days. The key itself stays on its transaction.
 */
export const request = ops.table(
  "request",
  {
    workspace_id: uuid(),
    idempotency_key: text().notNull(),
    fingerprint: bytes().notNull(),
    request_id: uuid().notNull(),
    answer: json().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    unique("request_once").on(t.workspace_id, t.idempotency_key).nullsNotDistinct(),
    // A btree (1 µs an insert, at its right end), not BRIN: rows take the places of those that were dropped, so that the
    // ranges of a BRIN would all come to begin in the past, and the sweep to read the whole table.
    index("request_age").on(t.created_at),
  ],
);

/** The allowed moves of every lifecycle; `from_state` '' is a row's birth. Reference data: `db/sql/ops/transition.data.sql`. */
export const transition = ops.table(
  "transition",
  {
    machine: text().notNull(),
    from_state: text().notNull(),
    to_state: text().notNull(),
  },
  (t) => [primaryKey({ name: "transition_pk", columns: [t.machine, t.from_state, t.to_state] })],
);

/** Who changed what, append-only for every role. Growth: one row per administrative change, kept for ever. */
export const audit = ops.table(
  "audit",
  {
    id: uuid().notNull(),
    workspace_id: uuid(),
    actor: text().notNull(),
    action: text().notNull(),
    subject: text().notNull(),
    detail: jsonb().notNull(),
    created_at: time().notNull(),
  },
  (t) => [primaryKey({ name: "audit_pk", columns: [t.id] }), index("audit_of_workspace").on(t.workspace_id, t.id)],
);

/** What a person must look at: one open row per code and subject. Growth: few rows; `ops.alarms_expire` drops closed ones after 400 days. */
export const alarm = ops.table(
  "alarm",
  {
    id: uuid().notNull(),
    code: text().notNull(),
    subject: text().notNull(),
    detail: jsonb().notNull(),
    times: integer().notNull().default(1),
    opened_at: time().notNull(),
    last_seen_at: time().notNull(),
    closed_at: time(),
  },
  (t) => [
    primaryKey({ name: "alarm_pk", columns: [t.id] }),
    index("alarm_closed")
      .on(t.closed_at)
      .where(sql`closed_at is not null`),
    uniqueIndex("alarm_open_once")
      .on(t.code, t.subject)
      .where(sql`closed_at is null`),
  ],
);

/** One row per sweep of the registry: who runs it, until when. */
export const sweep = ops.table(
  "sweep",
  {
    name: text().notNull(),
    run_id: uuid(),
    started_at: time().notNull(),
    leased_until: time(),
    more: boolean().notNull().default(false),
  },
  (t) => [primaryKey({ name: "sweep_pk", columns: [t.name] })],
);

/** Each run of a sweep. Growth: some thousand rows a day; `ops.sweep_runs_expire` drops them after 35 days. */
export const sweep_run = ops.table(
  "sweep_run",
  {
    id: uuid().notNull(),
    name: text().notNull(),
    started_at: time().notNull(),
    finished_at: time(),
    processed: integer().notNull().default(0),
    failed: integer().notNull().default(0),
    more: boolean().notNull().default(false),
    error: text(),
  },
  (t) => [
    primaryKey({ name: "sweep_run_pk", columns: [t.id] }),
    index("sweep_run_of_name").on(t.name, t.id),
    index("sweep_run_age").on(t.started_at, t.id),
  ],
);

/** Rows that a sweep could not process, with the error; tried again after `until`. Growth: failures only. */
export const parked = ops.table(
  "parked",
  {
    sweep: text().notNull(),
    subject: text().notNull(),
    sqlstate: text().notNull(),
    error: text().notNull(),
    times: integer().notNull().default(1),
    first_at: time().notNull(),
    last_at: time().notNull(),
    until: time().notNull(),
  },
  (t) => [primaryKey({ name: "parked_pk", columns: [t.sweep, t.subject] })],
);

/** One row: how far the local stack has moved time. Zero anywhere else (`db:check`). */
export const clock = ops.table(
  "clock",
  {
    singleton: boolean().notNull().default(true),
    clock_offset: interval().notNull().default("0"),
  },
  (t) => [primaryKey({ name: "clock_pk", columns: [t.singleton] }), check("clock_one_row", sql`singleton`)],
);

/**
 * The inbox: what came from outside, once each, with what became of it (lifecycle `ops.event`). `fact` is what its effect
 * needs of the payload; `payload` is the body as it came, for people. `waits_for` names what a parked event refers to and is
 * not there yet. Growth: one row per event; `ops.events_expire` drops what is over after 35 days (providers send again for
 * 30); the effects' keys stay on what they did.
 */
export const event = ops.table(
  "event",
  {
    provider: text().notNull(),
    id: text().notNull(),
    type: text().notNull(),
    subject: text(),
    state: text().notNull(),
    version: integer().notNull().default(1),
    fact: jsonb(),
    payload: text().notNull(),
    outcome: text(),
    error: text(),
    waits_for: text(),
    attempts: integer().notNull().default(0),
    next_attempt_at: time(),
    occurred_at: time().notNull(),
    received_at: time().notNull(),
    applied_at: time(),
  },
  (t) => [
    primaryKey({ name: "event_pk", columns: [t.provider, t.id] }),
    check("event_due_while_open", sql`(state in ('parked', 'failed', 'fetching')) = (next_attempt_at is not null)`),
    index("event_due")
      .on(t.next_attempt_at, t.provider, t.id)
      .where(sql`next_attempt_at is not null`),
    index("event_waiting")
      .on(t.waits_for)
      .where(sql`waits_for is not null`),
    index("event_of_state").on(t.state, t.received_at, t.id),
    index("event_age").on(t.received_at),
  ],
);

/**
 * How far a sweep has read a list of the outside's: everything before `since` is known; `position` is where an unfinished
 * pass goes on, and `until` what that pass will have covered. One row per list.
 */
export const cursor = ops.table(
  "cursor",
  {
    name: text().notNull(),
    since: time().notNull(),
    until: time(),
    position: text(),
  },
  (t) => [primaryKey({ name: "cursor_pk", columns: [t.name] })],
);
