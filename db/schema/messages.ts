import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgSchema, primaryKey, text, unique, uuid } from "drizzle-orm/pg-core";
import { time } from "./columns.ts";

/** What leaves the house. */
export const messages = pgSchema("messages");

/**
 * The outbox: a message is inserted by the statement that causes it (once per `dedupe_key`), claimed with a lease and a
 * token, sent, and settled by token (lifecycle `messages.outbox`): at least once, with a stable id for the receiver.
 * Growth: delivered ones may be dropped after 35 days; their keys then no longer stand in the way.
 */
export const outbox = messages.table(
  "outbox",
  {
    id: uuid().notNull(),
    channel: text().notNull(),
    kind: text().notNull(),
    workspace_id: uuid(),
    dedupe_key: text().notNull(),
    body: jsonb().notNull(),
    state: text().notNull(),
    version: integer().notNull().default(1),
    attempts: integer().notNull().default(0),
    due_at: time(),
    lease_token: uuid(),
    leased_until: time(),
    error: text(),
    settled_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "outbox_pk", columns: [t.id] }),
    unique("outbox_dedupe_once").on(t.channel, t.dedupe_key),
    check("outbox_due_while_open", sql`(state in ('queued', 'sending')) = (due_at is not null)`),
    index("outbox_due")
      .on(t.channel, t.due_at, t.id)
      .where(sql`due_at is not null`),
    index("outbox_age")
      .on(t.settled_at)
      .where(sql`settled_at is not null`),
  ],
);
