import { and, asc, desc, eq, lt, sql } from "drizzle-orm";
import * as z from "zod";
import { channel, outbox } from "../../db/schema/messages.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { utc, utcOrNull } from "../http/time.ts";
import type { MessagesFilter, MessageState } from "./model.ts";

const retryCall = routine({
  name: "messages.retry",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ id: z.string() }),
  result: z.object({ id: z.string(), state: z.enum(["queued", "sending", "delivered", "dead", "canceled"]) }),
});

const retryDeadCall = routine({
  name: "messages.retry_dead",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ channel: z.string() }),
  result: z.object({ channel: z.string(), retried: z.int(), more: z.boolean() }),
});

/** Every routine that this store calls, for the contract test. */
export const calls = [retryCall, retryDeadCall];

/** A page of messages, newest first, and one more. Their bodies are the receiver's. */
export async function listMessages(c: AppContext, page: Page, of: MessagesFilter) {
  const rows = await read(c, { scope: "ops:read", workspace: null }, (db) =>
    db
      .select({
        id: outbox.id,
        channel: outbox.channel,
        kind: outbox.kind,
        workspace_id: outbox.workspace_id,
        state: sql<MessageState>`${outbox.state}`.as("state"),
        attempts: outbox.attempts,
        due_at: outbox.due_at,
        error: outbox.error,
        settled_at: outbox.settled_at,
        created_at: outbox.created_at,
      })
      .from(outbox)
      .where(
        and(
          of.state === undefined ? undefined : eq(outbox.state, of.state),
          of.channel === undefined ? undefined : eq(outbox.channel, of.channel),
          of.kind === undefined ? undefined : eq(outbox.kind, of.kind),
          page.after === null ? undefined : lt(outbox.id, page.after),
        ),
      )
      .orderBy(desc(outbox.id))
      .limit(page.limit + 1),
  );
  return rows.map((row) => ({
    id: row.id,
    channel: row.channel,
    kind: row.kind,
    workspace_id: row.workspace_id,
    state: row.state,
    attempts: row.attempts,
    due_at: utcOrNull(row.due_at),
    error: row.error,
    settled_at: utcOrNull(row.settled_at),
    created_at: utc(row.created_at),
  }));
}

/** Has a dead message sent again. Refuses `not_found`. */
export async function retryMessage(c: AppContext, id: string) {
  return write(c, { routine: retryCall, args: { id }, scope: "ops:write", workspace: null });
}

/** Every channel that this deployment delivers, and what waits for it. */
export async function listChannels(c: AppContext) {
  const rows = await read(c, { scope: "ops:read", workspace: null }, (db) => {
    const counted = db
      .select({
        due: sql<number>`count(*) filter (where ${outbox.state} = 'queued' and ${outbox.due_at} <= n.now)::int`.as(
          "due",
        ),
        waiting: sql<number>`count(*) filter (where ${outbox.state} = 'queued' and ${outbox.due_at} > n.now)::int`.as(
          "waiting",
        ),
        sending: sql<number>`count(*) filter (where ${outbox.state} = 'sending')::int`.as("sending"),
        lag_seconds: sql<number>`greatest(0, coalesce(extract(epoch from n.now - min(${outbox.due_at})), 0))::int`.as(
          "lag_seconds",
        ),
      })
      .from(outbox)
      .where(and(eq(outbox.channel, channel.name), sql`${outbox.due_at} is not null`))
      .as("counted");
    const died = db
      .select({ dead: sql<number>`count(*)::int`.as("dead") })
      .from(outbox)
      .where(and(eq(outbox.channel, channel.name), sql`${outbox.state} = 'dead'`))
      .as("died");
    return db
      .select({
        channel: channel.name,
        circuit: sql<"closed" | "half_open" | "open">`case when ${channel.open_until} > n.now then 'open'
          when ${channel.failures} >= 5 then 'half_open' else 'closed' end`.as("circuit"),
        open_until: channel.open_until,
        failures: channel.failures,
        error: channel.error,
        attended_at: channel.claimed_at,
        lag_seconds: counted.lag_seconds,
        due: counted.due,
        waiting: counted.waiting,
        sending: counted.sending,
        dead: died.dead,
      })
      .from(channel)
      .crossJoin(sql`(select ops.now() as now) n`)
      .crossJoinLateral(counted)
      .crossJoinLateral(died)
      .orderBy(asc(channel.name));
  });
  return rows.map((row) => ({
    channel: row.channel,
    circuit: row.circuit,
    open_until: utcOrNull(row.open_until),
    failures: row.failures,
    error: row.error,
    attended_at: utc(row.attended_at),
    lag_seconds: row.lag_seconds,
    due: row.due,
    waiting: row.waiting,
    sending: row.sending,
    dead: row.dead,
  }));
}

/** Has a channel's dead messages sent again. Refuses `not_found`. */
export async function retryChannel(c: AppContext, name: string) {
  return write(c, { routine: retryDeadCall, args: { channel: name }, scope: "ops:write", workspace: null });
}
