import { and, desc, eq, isNotNull, isNull, lt, sql } from "drizzle-orm";
import * as z from "zod";
import { alarm, audit, sweep, sweep_run } from "../../db/schema/ops.ts";
import { call } from "../db/call.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import type { Database } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { instant, utc, utcOrNull } from "../http/time.ts";

const readinessCall = routine({
  name: "ops.readiness",
  context: {},
  args: z.strictObject({}),
  result: z.object({
    database_time: instant,
    connections: z.int(),
    connections_allowed: z.int(),
    oldest_transaction_seconds: z.int(),
    sweep_lag_seconds: z.int(),
    sweeps_running: z.int(),
    parked: z.int(),
    open_alarms: z.int(),
    inbox_open: z.int(),
    inbox_lag_seconds: z.int(),
    outbox_lag_seconds: z.int(),
  }),
});

/** Every routine that this store calls, for the contract test. */
export const calls = [readinessCall];

const reading = { scope: "ops:read", workspace: null };

/** What the database says of itself. */
export async function readiness(database: Database, trace: { db_ms: number; round_trips: number }) {
  const row = await call(database, readinessCall, {}, trace);
  return {
    database_time: row.database_time,
    connections: row.connections,
    connections_allowed: row.connections_allowed,
    oldest_transaction_seconds: row.oldest_transaction_seconds,
    sweep_lag_seconds: row.sweep_lag_seconds,
    sweeps_running: row.sweeps_running,
    parked: row.parked,
    open_alarms: row.open_alarms,
    inbox_open: row.inbox_open,
    inbox_lag_seconds: row.inbox_lag_seconds,
    outbox_lag_seconds: row.outbox_lag_seconds,
  };
}

/** A page of alarms, newest first, and one more. */
export async function listAlarms(c: AppContext, page: Page, state: "open" | "closed") {
  const rows = await read(c, reading, (db) =>
    db
      .select()
      .from(alarm)
      .where(
        and(
          state === "open" ? isNull(alarm.closed_at) : isNotNull(alarm.closed_at),
          page.after === null ? undefined : lt(alarm.id, page.after),
        ),
      )
      .orderBy(desc(alarm.id))
      .limit(page.limit + 1),
  );
  return rows.map((row) => ({
    id: row.id,
    code: row.code,
    subject: row.subject,
    detail: detailOf(row.detail),
    times: row.times,
    opened_at: utc(row.opened_at),
    last_seen_at: utc(row.last_seen_at),
    closed_at: utcOrNull(row.closed_at),
  }));
}

/** The last run of each sweep that ever ran, by name. */
export async function lastRuns(c: AppContext) {
  const rows = await read(c, reading, (db) =>
    db
      .select({
        name: sweep.name,
        running: sql<boolean>`coalesce(${sweep.leased_until} > ops.now(), false)`.as("running"),
        last_started_at: sweep.started_at,
        lag_seconds: sql<number>`extract(epoch from ops.now() - ${sweep.started_at})::integer`.as("lag_seconds"),
        run: sql<string | null>`${sweep_run.id}`.as("run"),
        finished_at: sql<string | null>`${sweep_run.finished_at}`.as("finished_at"),
        processed: sql<number>`${sweep_run.processed}`.as("processed"),
        failed: sql<number>`${sweep_run.failed}`.as("failed"),
        more: sql<boolean>`${sweep_run.more}`.as("more"),
        error: sql<string | null>`${sweep_run.error}`.as("error"),
      })
      .from(sweep)
      .leftJoin(sweep_run, eq(sweep_run.id, sweep.run_id)),
  );
  return new Map(
    rows.map(({ name, running, last_started_at, lag_seconds, run, finished_at, processed, failed, more, error }) => [
      name,
      {
        running,
        last_started_at: utc(last_started_at),
        lag_seconds,
        last_run:
          run === null ? null : { id: run, finished_at: utcOrNull(finished_at), processed, failed, more, error },
      },
    ]),
  );
}

/** A page of the audit, newest first, and one more. */
export async function listAudit(c: AppContext, page: Page, workspace: string | undefined) {
  const rows = await read(c, reading, (db) =>
    db
      .select()
      .from(audit)
      .where(
        and(
          workspace === undefined ? undefined : eq(audit.workspace_id, workspace),
          page.after === null ? undefined : lt(audit.id, page.after),
        ),
      )
      .orderBy(desc(audit.id))
      .limit(page.limit + 1),
  );
  return rows.map((row) => ({
    id: row.id,
    workspace_id: row.workspace_id,
    actor: row.actor,
    action: row.action,
    subject: row.subject,
    detail: detailOf(row.detail),
    created_at: utc(row.created_at),
  }));
}

function detailOf(detail: unknown): Record<string, unknown> {
  return typeof detail === "object" && detail !== null ? { ...detail } : {};
}
