import { desc, eq, lt, sql } from "drizzle-orm";
import * as z from "zod";
import { broadcast, outbox } from "../../db/schema/messages.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import { settings } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { Problem } from "../http/problem.ts";
import { instant, utc, utcOrNull } from "../http/time.ts";
import type { broadcastBody, BroadcastState } from "./broadcast-model.ts";
import { channel } from "./contact-model.ts";
import type { Channel } from "./letter.ts";
import { ownWords } from "./way-out.ts";

const reading = { scope: "messages:read", workspace: null } as const;
const writing = { scope: "messages:write", workspace: null } as const;
const record = z.record(z.string(), z.unknown());
const state = z.enum(["draft", "running", "stopped", "done"]);

const createCall = routine({
  name: "messages.create_broadcast",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ name: z.string(), channel, kind: z.string(), segment: record, data: record, own: record }),
  result: z.object({
    id: z.string(),
    name: z.string(),
    channel,
    kind: z.string(),
    segment: record,
    data: record,
    state,
    created_at: instant,
  }),
});

const moveCall = routine({
  name: "messages.move_broadcast",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ id: z.string(), move: z.enum(["start", "stop", "resume"]), own: record }),
  result: z.object({ id: z.string(), state, started_at: instant.nullable() }),
});

/** Every routine that is called here, for the contract test. */
export const calls = [createCall, moveCall];

type Wish = z.infer<typeof broadcastBody>;

/** Drafts a broadcast. Refuses `template_unknown`, `data_missing`. */
export async function createBroadcast(c: AppContext, { name, channel: to, kind, segment, data }: Wish) {
  const args = { name, channel: to, kind, segment: { ...segment }, data, own: ownWords(settings(c.env)) };
  const made = await write(c, { routine: createCall, args, ...writing });
  return { ...made, queued: 0, started_at: null, ended_at: null };
}

/** To how many it would go. Refuses as `createBroadcast`. */
export async function countBroadcast(c: AppContext, { channel: to, kind, segment, data }: Wish) {
  const own = JSON.stringify(ownWords(settings(c.env)));
  const [row] = await read(c, reading, (db) =>
    db
      .select({ total: sql<number>`found.total`.as("total"), more: sql<boolean>`found.more`.as("more") })
      .from(
        sql`messages.count_recipients(${to}, ${kind}, ${JSON.stringify(segment)}::jsonb, ${JSON.stringify(data)}::jsonb, own => ${own}::jsonb) found`,
      ),
  );
  return { total: row?.total ?? 0, more: row?.more ?? false };
}

/** Starts, stops or resumes it. Refuses `not_found`, `broadcast_moved_on`, and at the start as `createBroadcast`. */
export async function moveBroadcast(c: AppContext, id: string, move: "start" | "stop" | "resume") {
  return write(c, { routine: moveCall, args: { id, move, own: ownWords(settings(c.env)) }, ...writing });
}

const columns = {
  id: broadcast.id,
  name: broadcast.name,
  channel: sql<Channel>`${broadcast.channel}`.as("channel"),
  kind: broadcast.kind,
  segment: sql<Record<string, unknown>>`${broadcast.segment}`.as("segment"),
  data: sql<Record<string, unknown>>`${broadcast.data}`.as("data"),
  state: sql<BroadcastState>`${broadcast.state}`.as("state"),
  queued: broadcast.queued,
  started_at: broadcast.started_at,
  ended_at: broadcast.ended_at,
  created_at: broadcast.created_at,
};

interface Moments {
  started_at: string | null;
  ended_at: string | null;
  created_at: string;
}

const withMoments = <Row extends Moments>(row: Row) => ({
  ...row,
  started_at: utcOrNull(row.started_at),
  ended_at: utcOrNull(row.ended_at),
  created_at: utc(row.created_at),
});

/** A page of broadcasts, newest first, and one more. */
export async function listBroadcasts(c: AppContext, page: Page) {
  const rows = await read(c, reading, (db) =>
    db
      .select(columns)
      .from(broadcast)
      .where(page.after === null ? undefined : lt(broadcast.id, page.after))
      .orderBy(desc(broadcast.id))
      .limit(page.limit + 1),
  );
  return rows.map(withMoments);
}

/** How many of its messages are in these states. */
const of = (...states: string[]) => sql<number>`count(*) filter (where ${outbox.state} in ${states})::int`;

/** A broadcast and how far it has come. Refuses `not_found`. */
export async function getBroadcast(c: AppContext, id: string) {
  const [row] = await read(c, reading, (db) => {
    const sent = db
      .select({
        waiting: of("queued", "sending").as("waiting"),
        delivered: of("delivered").as("delivered"),
        dead: of("dead").as("dead"),
        canceled: of("canceled").as("canceled"),
      })
      .from(outbox)
      .where(eq(outbox.broadcast_id, broadcast.id))
      .as("sent");
    return db
      .select({
        ...columns,
        // A draft's alone: who polls one that runs does not pay for a count.
        total: sql<
          number | null
        >`case when "broadcast".state = 'draft' then (messages.count_recipients("broadcast".channel, "broadcast".kind, "broadcast".segment)).total end`.as(
          "total",
        ),
        waiting: sent.waiting,
        delivered: sent.delivered,
        dead: sent.dead,
        canceled: sent.canceled,
      })
      .from(broadcast)
      .crossJoinLateral(sent)
      .where(eq(broadcast.id, id));
  });
  if (row === undefined) throw new Problem("not_found");
  return { ...withMoments(row), total: row.total };
}
