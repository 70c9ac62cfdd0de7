import { and, desc, eq, isNull, lt, sql } from "drizzle-orm";
import * as z from "zod";
import { endpoint, outbox, webhookEvent } from "../../db/schema/messages.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { Problem } from "../http/problem.ts";
import { instant, utc, utcOrNull } from "../http/time.ts";
import type { MessageState } from "./model.ts";
import type { EventType } from "./webhook-model.ts";

const text = z.string();
const byWhom = { caused_by: "caused_by" } as const;

const createCall = routine({
  name: "messages.create_endpoint",
  context: byWhom,
  args: z.strictObject({ url: text, description: text, events: z.array(text) }),
  result: z.object({
    id: text,
    url: text,
    description: text,
    events: z.array(text),
    secret_number: z.int(),
    created_at: instant,
  }),
});

const changeCall = routine({
  name: "messages.change_endpoint",
  context: byWhom,
  args: z.strictObject({
    id: text,
    url: text.nullable(),
    description: text.nullable(),
    events: z.array(text).nullable(),
    enabled: z.boolean().nullable(),
  }),
  result: z.object({
    id: text,
    url: text,
    description: text,
    events: z.array(text),
    disabled_at: instant.nullable(),
    disabled_reason: text.nullable(),
    failing_since: instant.nullable(),
    error: text.nullable(),
    secret_old_until: instant.nullable(),
    created_at: instant,
  }),
});

const deleteCall = routine({
  name: "messages.delete_endpoint",
  context: byWhom,
  args: z.strictObject({ id: text }),
  result: z.object({ id: text, deleted_at: instant }),
});

const rotateCall = routine({
  name: "messages.rotate_endpoint",
  context: byWhom,
  args: z.strictObject({ id: text, keep: text }),
  result: z.object({ id: text, secret_number: z.int(), secret_old_until: instant }),
});

const testCall = routine({
  name: "messages.test_endpoint",
  context: {},
  args: z.strictObject({ endpoint_id: text }),
  result: z.object({ event_id: text, delivery_id: text }),
});

const replayEventCall = routine({
  name: "messages.replay_event",
  context: byWhom,
  args: z.strictObject({ id: text, endpoint_id: text.nullable() }),
  result: z.object({ id: text, endpoint_ids: z.array(text), delivery_ids: z.array(text) }),
});

const replayEndpointCall = routine({
  name: "messages.replay_endpoint",
  context: byWhom,
  args: z.strictObject({ id: text, since: text }),
  result: z.object({ id: text, replayed: z.int(), more: z.boolean() }),
});

/** Every routine that this store calls, for the contract test. */
export const calls = [createCall, changeCall, deleteCall, rotateCall, testCall, replayEventCall, replayEndpointCall];

const reading = { scope: "webhooks:read", workspace: null };
const writing = { scope: "webhooks:write", workspace: null };

interface Described {
  url?: string | undefined;
  description?: string | undefined;
  events?: string[] | undefined;
}

/** Makes an endpoint; its first secret has the number that is answered. */
export function createEndpoint(
  c: AppContext,
  body: Described & { url: string; description: string; events: string[] },
) {
  const { url, description, events } = body;
  return write(c, { routine: createCall, args: { url, description, events }, ...writing });
}

/** Changes what is given. Refuses `not_found`. */
export async function changeEndpoint(c: AppContext, id: string, body: Described & { enabled?: boolean | undefined }) {
  const args = {
    id,
    url: body.url ?? null,
    description: body.description ?? null,
    events: body.events ?? null,
    enabled: body.enabled ?? null,
  };
  const { secret_old_until, ...row } = await write(c, { routine: changeCall, args, ...writing });
  return { ...row, enabled: row.disabled_at === null, old_secret_until: secret_old_until };
}

/** Tells it nothing more. Refuses `not_found`. */
export function deleteEndpoint(c: AppContext, id: string) {
  return write(c, { routine: deleteCall, args: { id }, ...writing });
}

/** Makes the next secret the endpoint's. Refuses `not_found`. */
export function rotateEndpoint(c: AppContext, id: string, keepSeconds: number) {
  return write(c, { routine: rotateCall, args: { id, keep: `${keepSeconds} seconds` }, ...writing });
}

/** Sends a test. Refuses `not_found`, `endpoint_disabled`. */
export function testEndpoint(c: AppContext, id: string) {
  return write(c, { routine: testCall, args: { endpoint_id: id }, ...writing });
}

/** Sends an event again. Refuses `not_found`, `endpoint_disabled`. */
export async function replayEvent(c: AppContext, id: string, endpoint_id: string | undefined) {
  const args = { id, endpoint_id: endpoint_id ?? null };
  const { endpoint_ids, delivery_ids } = await write(c, { routine: replayEventCall, args, ...writing });
  return { id, deliveries: endpoint_ids.map((to, i) => ({ id: delivery_ids[i] ?? "", endpoint_id: to })) };
}

/** Sends again what was given up since. Refuses `not_found`, `endpoint_disabled`. */
export function replayEndpoint(c: AppContext, id: string, since: string) {
  return write(c, { routine: replayEndpointCall, args: { id, since }, ...writing });
}

const endpointColumns = {
  id: endpoint.id,
  url: endpoint.url,
  description: endpoint.description,
  events: endpoint.events,
  disabled_at: endpoint.disabled_at,
  disabled_reason: endpoint.disabled_reason,
  failing_since: endpoint.failing_since,
  error: endpoint.error,
  old_secret_until: sql<
    string | null
  >`case when ${endpoint.secret_old_until} > ops.now() then ${endpoint.secret_old_until} end`.as("old_secret_until"),
  created_at: endpoint.created_at,
};

interface EndpointRow {
  disabled_at: string | null;
  failing_since: string | null;
  old_secret_until: string | null;
  created_at: string;
}

const shownEndpoint = <Row extends EndpointRow>(row: Row) => ({
  ...row,
  enabled: row.disabled_at === null,
  disabled_at: utcOrNull(row.disabled_at),
  failing_since: utcOrNull(row.failing_since),
  old_secret_until: utcOrNull(row.old_secret_until),
  created_at: utc(row.created_at),
});

/** A page of endpoints, newest first, and one more. */
export async function listEndpoints(c: AppContext, page: Page) {
  const rows = await read(c, reading, (db) =>
    db
      .select(endpointColumns)
      .from(endpoint)
      .where(and(isNull(endpoint.deleted_at), page.after === null ? undefined : lt(endpoint.id, page.after)))
      .orderBy(desc(endpoint.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownEndpoint);
}

/** One endpoint. Refuses `not_found`. */
export async function getEndpoint(c: AppContext, id: string) {
  const [row] = await read(c, reading, (db) =>
    db
      .select(endpointColumns)
      .from(endpoint)
      .where(and(eq(endpoint.id, id), isNull(endpoint.deleted_at))),
  );
  if (row === undefined) throw new Problem("not_found");
  return shownEndpoint(row);
}

/** A page of what went or is to go to an endpoint, were it deleted since, newest first, and one more. Refuses `not_found`. */
export async function listDeliveries(c: AppContext, id: string, page: Page) {
  const rows = await read(c, reading, (db) =>
    db
      .select({
        // Null where an endpoint was told nothing: then it is one row with nothing in it.
        id: outbox.id,
        event_id: sql<string>`${outbox.body} ->> 'event_id'`.as("event_id"),
        type: sql<EventType>`${outbox.kind}`.as("type"),
        state: sql<MessageState>`${outbox.state}`.as("state"),
        attempts: outbox.attempts,
        due_at: outbox.due_at,
        error: outbox.error,
        settled_at: outbox.settled_at,
        created_at: outbox.created_at,
      })
      .from(endpoint)
      .leftJoin(
        outbox,
        and(eq(outbox.endpoint_id, endpoint.id), page.after === null ? undefined : lt(outbox.id, page.after)),
      )
      .where(eq(endpoint.id, id))
      .orderBy(desc(outbox.id))
      .limit(page.limit + 1),
  );
  if (rows.length === 0) throw new Problem("not_found");
  return rows.flatMap(({ id: delivery, attempts, created_at, due_at, settled_at, ...row }) =>
    delivery === null || attempts === null || created_at === null
      ? []
      : [
          Object.assign(row, {
            id: delivery,
            attempts,
            due_at: utcOrNull(due_at),
            settled_at: utcOrNull(settled_at),
            created_at: utc(created_at),
          }),
        ],
  );
}

/** A page of events, newest first, and one more. */
export async function listEvents(c: AppContext, page: Page, type: EventType | undefined) {
  const rows = await read(c, reading, (db) =>
    db
      .select({
        id: webhookEvent.id,
        type: sql<EventType>`${webhookEvent.type}`.as("type"),
        workspace_id: webhookEvent.workspace_id,
        data: webhookEvent.data,
        created_at: webhookEvent.created_at,
      })
      .from(webhookEvent)
      .where(
        and(
          type === undefined ? undefined : eq(webhookEvent.type, type),
          page.after === null ? undefined : lt(webhookEvent.id, page.after),
        ),
      )
      .orderBy(desc(webhookEvent.id))
      .limit(page.limit + 1),
  );
  return rows.map(({ id, type: of, workspace_id, data, created_at }) => ({
    id,
    type: of,
    workspace_id,
    data: typeof data === "object" && data !== null ? { ...data } : {},
    created_at: utc(created_at),
  }));
}
