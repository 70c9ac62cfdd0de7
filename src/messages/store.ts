import { and, desc, eq, lt, sql } from "drizzle-orm";
import * as z from "zod";
import { outbox } from "../../db/schema/messages.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { utc, utcOrNull } from "../http/time.ts";
import type { MessageState } from "./model.ts";

const retryCall = routine({
  name: "messages.retry",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ id: z.string() }),
  result: z.object({ id: z.string(), state: z.enum(["queued", "sending", "delivered", "dead", "canceled"]) }),
});

/** Every routine that this store calls, for the contract test. */
export const calls = [retryCall];

/** A page of messages, newest first, and one more. Their bodies are the receiver's. */
export async function listMessages(c: AppContext, page: Page, of: MessageState | undefined) {
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
          of === undefined ? undefined : eq(outbox.state, of),
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
