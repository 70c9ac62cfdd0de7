import { and, desc, eq, inArray, sql } from "drizzle-orm";
import * as z from "zod";
import { event } from "../../db/schema/ops.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import type { TimedPage } from "../http/pagination.ts";
import { Problem } from "../http/problem.ts";
import { utc, utcOrNull } from "../http/time.ts";
import { type Provider, providers } from "./inbox.ts";
import { type EventState, eventState } from "./model.ts";

const reading = { scope: "ops:read", workspace: null };

const replayEventCall = routine({
  name: "ops.replay_event",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ provider: z.string(), id: z.string() }),
  result: z.object({
    provider: z.string(),
    id: z.string(),
    state: eventState,
    outcome: z.string().nullable(),
    error: z.string().nullable(),
  }),
});

/** Every routine that is called here, for the contract test. */
export const calls = [replayEventCall];

const columns = {
  provider: event.provider,
  id: event.id,
  type: event.type,
  subject: event.subject,
  state: sql<EventState>`${event.state}`.as("state"),
  outcome: event.outcome,
  error: event.error,
  waits_for: event.waits_for,
  attempts: event.attempts,
  next_attempt_at: event.next_attempt_at,
  occurred_at: event.occurred_at,
  received_at: event.received_at,
  applied_at: event.applied_at,
};

interface EventRow {
  next_attempt_at: string | null;
  occurred_at: string;
  received_at: string;
  applied_at: string | null;
}

const shownEvent = <Row extends EventRow>(row: Row) => ({
  ...row,
  next_attempt_at: utcOrNull(row.next_attempt_at),
  occurred_at: utc(row.occurred_at),
  received_at: utc(row.received_at),
  applied_at: utcOrNull(row.applied_at),
});

/** A page of events, the last to come first, and one more. */
export async function listEvents(c: AppContext, page: TimedPage, of: EventState | undefined) {
  const { after } = page;
  const rows = await read(c, reading, (db) =>
    db
      .select(columns)
      .from(event)
      .where(
        and(
          of === undefined ? undefined : eq(event.state, of),
          after === null
            ? undefined
            : sql`(${event.received_at}, ${event.id}) < (${after.at}::timestamptz, ${after.name})`,
        ),
      )
      .orderBy(desc(event.received_at), desc(event.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownEvent);
}

/** One event with its body as it came. Refuses `not_found`. */
export async function getEvent(c: AppContext, id: string) {
  const [row] = await read(c, reading, (db) =>
    db
      .select({ ...columns, payload: event.payload })
      .from(event)
      .where(and(inArray(event.provider, [...providers]), eq(event.id, id))),
  );
  if (row === undefined) throw new Problem("not_found");
  return shownEvent(row);
}

/** Whose event it is, by its name: Stripe's begin with a word, and BTCPay's are letters and digits. */
const providerOf = (id: string): Provider => (/^[A-Za-z0-9-]+$/.test(id) ? "btcpay" : "stripe");

/** Applies an event again; what it did is not done twice. Refuses `not_found`. */
export async function replayEvent(c: AppContext, id: string) {
  const row = await write(c, {
    routine: replayEventCall,
    args: { provider: providerOf(id), id },
    scope: "ops:write",
    workspace: null,
  });
  return { provider: row.provider, id: row.id, state: row.state, outcome: row.outcome, error: row.error };
}
