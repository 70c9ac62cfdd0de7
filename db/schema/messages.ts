import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgSchema, primaryKey, text, unique, uuid } from "drizzle-orm/pg-core";
import { time } from "./columns.ts";

/** What leaves the house. */
export const messages = pgSchema("messages");

/**
 * A channel that this deployment delivers: since when it is asked for messages at all (`claimed_at`, within a minute), and how it does.
 * After some failures in a row that are its own (`failures`), nothing is sent before `open_until`, and then one message by way of trial.
 * Growth: one row per channel.
 */
export const channel = messages.table(
  "channel",
  {
    name: text().notNull(),
    claimed_at: time().notNull(),
    failures: integer().notNull().default(0),
    open_until: time(),
    error: text(),
    changed_at: time().notNull(),
  },
  (t) => [primaryKey({ name: "channel_pk", columns: [t.name] }), check("channel_failures_counted", sql`failures >= 0`)],
);

/**
 * Where a workspace's customer is reached. `opt_outs`: kinds of message that his workspace says he does not want (`*`: none at all);
 * `left_at`: he has left broadcasts himself, whatever those say, and `leavings` counts how often that was; `silenced_at`: the
 * address takes none (it bounced, or he blocked the bot). Growth: some rows per workspace; dropped when the operator drops them.
 */
export const contact = messages.table(
  "contact",
  {
    id: uuid().notNull(),
    workspace_id: uuid().notNull(),
    channel: text().notNull(),
    address: text().notNull(),
    language: text().notNull(),
    opt_outs: text().array().notNull(),
    left_at: time(),
    leavings: integer().notNull().default(0),
    silenced_at: time(),
    silenced_reason: text(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "contact_pk", columns: [t.id] }),
    unique("contact_once").on(t.workspace_id, t.channel, t.address),
    check("contact_channel_known", sql`channel in ('email', 'telegram')`),
    check("contact_language_form", sql`language ~ '^[a-z]{2,3}(-[A-Z]{2})?$'`),
    index("contact_of_channel").on(t.channel, t.id),
  ],
);

/**
 * What a kind of message says on a channel in a language; the newest number counts. What has none says what comes with the house.
 * `variables`: the names that stand in it.
 * Growth: one row per change, kept: they are the record of what was said.
 */
export const template = messages.table(
  "template",
  {
    id: uuid().notNull(),
    kind: text().notNull(),
    channel: text().notNull(),
    language: text().notNull(),
    number: integer().notNull(),
    subject: text(),
    body: text().notNull(),
    variables: text().array().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "template_pk", columns: [t.id] }),
    unique("template_number_once").on(t.kind, t.channel, t.language, t.number),
    check("template_subject_of_email", sql`(channel = 'email') = (subject is not null)`),
  ],
);

/**
 * Where an operator's system hears of events. `events`: which types (`*`: all). Secrets are not kept: they are made from the
 * deployment's signing key, this id and `secret_number`; the one before counts until `secret_old_until`. `failures`, `open_until`: its
 * circuit, as a channel's; `failing_since`: nothing was delivered since then; long enough, and it is disabled, under an alarm.
 * Growth: some rows; a deleted one stays, for its log.
 */
export const endpoint = messages.table(
  "endpoint",
  {
    id: uuid().notNull(),
    url: text().notNull(),
    description: text().notNull(),
    events: text().array().notNull(),
    secret_number: integer().notNull().default(1),
    secret_old_until: time(),
    failures: integer().notNull().default(0),
    open_until: time(),
    failing_since: time(),
    error: text(),
    disabled_at: time(),
    disabled_reason: text(),
    deleted_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "endpoint_pk", columns: [t.id] }),
    check("endpoint_url_form", sql`url ~ '^https?://' and char_length(url) <= 2000`),
    check("endpoint_events_some", sql`cardinality(events) between 1 and 100`),
  ],
);

/**
 * What happened, as the operator's endpoints are told it: the type, the resource and its version, by which a receiver sorts. Written
 * only while some endpoint listens. Growth: dropped after 35 days.
 */
export const webhookEvent = messages.table(
  "webhook_event",
  {
    id: uuid().notNull(),
    type: text().notNull(),
    workspace_id: uuid(),
    resource: text().notNull(),
    resource_version: integer().notNull(),
    data: jsonb().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "webhook_event_pk", columns: [t.id] }),
    unique("webhook_event_of_version_once").on(t.type, t.resource, t.resource_version),
    index("webhook_event_age").on(t.created_at),
    index("webhook_event_of_type").on(t.type, t.id),
  ],
);

/**
 * One message to many (lifecycle `messages.broadcast`): `segment` says to whom, `kind` which template and `data` what stands in it;
 * `position` how far it has come by the contacts' ids, `queued` how many that were. Growth: one row per broadcast.
 */
export const broadcast = messages.table(
  "broadcast",
  {
    id: uuid().notNull(),
    name: text().notNull(),
    channel: text().notNull(),
    kind: text().notNull(),
    segment: jsonb().notNull(),
    data: jsonb().notNull(),
    state: text().notNull(),
    version: integer().notNull().default(1),
    position: uuid(),
    queued: integer().notNull().default(0),
    due_at: time(),
    started_at: time(),
    ended_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "broadcast_pk", columns: [t.id] }),
    check("broadcast_channel_known", sql`channel in ('email', 'telegram')`),
    check("broadcast_kind_form", sql`kind ~ '^broadcast[.][a-z0-9_]+$'`),
    check("broadcast_due_while_running", sql`(state = 'running') = (due_at is not null)`),
    index("broadcast_due")
      .on(t.due_at, t.id)
      .where(sql`due_at is not null`),
  ],
);

/**
 * The outbox: a message is inserted by the statement that causes it (once per `dedupe_key`), claimed with a lease and a
 * token, sent, and settled by token (lifecycle `messages.outbox`): at least once, with a stable id for the receiver.
 * `contact_id`: whom it is for (channels email and telegram), `broadcast_id`: as part of what; `endpoint_id`: which of the operator's
 * endpoints is told (channel webhook).
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
    contact_id: uuid(),
    endpoint_id: uuid(),
    broadcast_id: uuid(),
  },
  (t) => [
    primaryKey({ name: "outbox_pk", columns: [t.id] }),
    unique("outbox_dedupe_once").on(t.channel, t.dedupe_key),
    check("outbox_due_while_open", sql`(state in ('queued', 'sending')) = (due_at is not null)`),
    index("outbox_due")
      .on(t.channel, t.due_at, t.id)
      .where(sql`due_at is not null`),
    index("outbox_of_endpoint")
      .on(t.endpoint_id, t.id)
      .where(sql`endpoint_id is not null`),
    index("outbox_due_of_endpoint")
      .on(t.endpoint_id, t.due_at)
      .where(sql`endpoint_id is not null and due_at is not null`),
    index("outbox_of_broadcast")
      .on(t.broadcast_id, t.state)
      .where(sql`broadcast_id is not null`),
    index("outbox_dead")
      .on(t.channel, t.id)
      .where(sql`state = 'dead'`),
    index("outbox_age")
      .on(t.settled_at)
      .where(sql`settled_at is not null`),
  ],
);
