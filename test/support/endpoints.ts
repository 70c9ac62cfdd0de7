import { randomUUID } from "node:crypto";
import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** An event that endpoints were told. */
export interface Told {
  id: string;
  type: string;
  workspace_id: string | null;
  resource: string;
  version: number;
  data: Record<string, unknown>;
}

/** A message that goes to an endpoint. */
export interface Sent {
  id: string;
  event_id: string;
  kind: string;
  state: string;
  attempts: number;
  error: string | null;
  seconds: number | null;
}

/** One of the operator's endpoints; each method is one call of a routine, or a look. */
export class Endpoint {
  readonly db: Db;
  readonly id: string;

  constructor(db: Db, id: string) {
    this.db = db;
    this.id = id;
  }

  /** One that listens to these types of events; to all, unless told. */
  static async listening(
    db: Db,
    events: string[] = ["*"],
    url = `https://${randomUUID()}.example/`,
  ): Promise<Endpoint> {
    const made = await call<{ id: string }>(db, "messages.create_endpoint", {
      url,
      description: "",
      events,
      caused_by: "test",
    });
    return new Endpoint(db, made.id);
  }

  change(change: { url?: string; events?: string[]; enabled?: boolean }) {
    return call<{ disabled_at: string | null; disabled_reason: string | null; failing_since: string | null }>(
      this.db,
      "messages.change_endpoint",
      {
        id: this.id,
        url: change.url ?? null,
        description: null,
        events: change.events ?? null,
        enabled: change.enabled ?? null,
        caused_by: "test",
      },
    );
  }

  delete() {
    return call(this.db, "messages.delete_endpoint", { id: this.id, caused_by: "test" });
  }

  test() {
    return call<{ event_id: string; delivery_id: string }>(this.db, "messages.test_endpoint", { endpoint_id: this.id });
  }

  replay(since: string) {
    return call<{ replayed: number; more: boolean }>(this.db, "messages.replay_endpoint", {
      id: this.id,
      since,
      caused_by: "test",
    });
  }

  /** Sends an event again, to this one. */
  replayEvent(event: string) {
    return replayEvent(this.db, event, this.id);
  }

  /** Its row. */
  async row() {
    const [row] = await rows<{
      failures: number;
      failing_since: string | null;
      disabled_at: string | null;
      disabled_reason: string | null;
      error: string | null;
      open_until: string | null;
    }>(
      this.db,
      "select failures, failing_since, disabled_at, disabled_reason, error, open_until from messages.endpoint where id = $1",
      [this.id],
    );
    if (row === undefined) throw new Error("no such endpoint");
    return row;
  }

  /** What goes to it, the oldest first. */
  sent(): Promise<Sent[]> {
    return rows<Sent>(
      this.db,
      `select o.id, o.body ->> 'event_id' as event_id, o.kind, o.state, o.attempts, o.error,
              case when o.due_at is not null then greatest(0, round(extract(epoch from o.due_at - ops.now()))::int) end as seconds
         from messages.outbox o where o.endpoint_id = $1 order by o.id`,
      [this.id],
    );
  }

  /** What it is told, by type: `["hold.expired 2"]`. */
  async hears(): Promise<string[]> {
    const found = await rows<{ said: string }>(
      this.db,
      `select w.type || ' ' || w.resource_version as said
         from messages.outbox o join messages.webhook_event w on w.id = (o.body ->> 'event_id')::uuid
        where o.endpoint_id = $1 order by o.id`,
      [this.id],
    );
    return found.map(({ said }) => said);
  }

  /** The open alarms about it. */
  async alarms(): Promise<string[]> {
    const found = await rows<{ code: string }>(
      this.db,
      "select code from ops.alarm where subject = $1 and closed_at is null order by code",
      [this.id],
    );
    return found.map(({ code }) => code);
  }
}

export function replayEvent(db: Db, id: string, endpoint_id: string | null) {
  return call<{ endpoint_ids: string[]; delivery_ids: string[] }>(db, "messages.replay_event", {
    id,
    endpoint_id,
    caused_by: "test",
  });
}

/** The events about a resource, the oldest first. */
export function eventsOf(db: Db, resource: string): Promise<Told[]> {
  return rows<Told>(
    db,
    `select id, type, workspace_id, resource, resource_version as version, data from messages.webhook_event
      where resource = $1 order by id`,
    [resource],
  );
}

/** Nobody listens any more: what other tests of the file left is deleted. */
export async function silence(db: Db): Promise<void> {
  await db.query("update messages.endpoint set deleted_at = ops.now() where deleted_at is null");
}
