import { sql } from "drizzle-orm";
import * as z from "zod";
import { key, stray } from "../../db/schema/access.ts";
import { read } from "../db/read.ts";
import { settings } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import { encodeCursor } from "../http/pagination.ts";
import { Problem } from "../http/problem.ts";
import { Refused, Unavailable } from "../outside/peer.ts";
import { openProvisioner } from "../outside/provisioner/open.ts";
import type { Listing, Provisioner } from "../outside/provisioner/provisioner.ts";
import { pageOfKeys } from "./reconcile.ts";

const reading = { scope: "access:read", workspace: null };

const found = z.object({
  missing: z.array(z.object({ key: z.string(), access_key_id: z.string(), workspace_id: z.string() })),
  strays: z.array(z.object({ key: z.string(), seen: z.int() })),
  reached: z.string().nullable(),
});

/**
 * What reconciling would do with a page of the provisioner's list; it changes nothing. Throws `Problem`: `misconfigured` where there is no
 * provisioner, `provisioner_unavailable` where it does not answer as it should.
 */
export async function differences(c: AppContext, after: string | null) {
  // Before the provisioner is asked: who may not know must not ask, and what becomes active from now on need not be in its answer.
  const [asked] = await read(c, reading, (db) =>
    db.select({ at: sql<string>`ops.now()::text`.as("at") }).from(sql`(select) nothing`),
  );
  const listing = await listed(c, after);
  const { keys, shut, next } = listing;
  const [row] = await read(c, reading, (db) =>
    db
      .select({
        answer: sql`json_build_object(
          'missing', (select coalesce(json_agg(json_build_object('key', k.key, 'access_key_id', k.id, 'workspace_id', k.workspace_id)
                                      order by k.key), '[]')
                        from ${key} k where k.key = any (r.missing)),
          'strays', (select coalesce(json_agg(json_build_object('key', l.key, 'seen', coalesce(s.times, 0)) order by l.key), '[]')
                       from unnest(r.strays) l(key) left join ${stray} s on s.key = l.key),
          'reached', r.reached)`.as("answer"),
      })
      .from(
        sql`access.compare(${after}::uuid, ${next}::uuid, ${sql.param(keys)}::uuid[], ${sql.param(shut)}::uuid[], ${asked?.at}::timestamptz,
          ${pageOfKeys}::integer) r`,
      ),
  );
  const { missing, strays, reached } = found.parse(row?.answer);
  return {
    data: [
      ...missing.map(({ key: lost, access_key_id, workspace_id }) => {
        return { does: "add" as const, key: lost, access_key_id, workspace_id, seen: null };
      }),
      ...strays.map(({ key: foreign, seen }) => {
        return { does: "remove" as const, key: foreign, access_key_id: null, workspace_id: null, seen };
      }),
    ],
    listed: keys.length + shut.length,
    next_cursor: reached === null ? null : encodeCursor(reached),
  };
}

async function listed(c: AppContext, after: string | null): Promise<Listing> {
  const { provisioner } = settings(c.env);
  if (provisioner === null) throw new Problem("misconfigured", {}, { cause: new Error("there is no provisioner") });
  try {
    return await firstKeys(openProvisioner(provisioner), after);
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Unavailable)) throw error;
    throw new Problem("provisioner_unavailable", { detail: error.message, retry_after: 5 }, { cause: error });
  }
}

/** Of parts without a key, for one who asks; each is some requests of the provisioner's. */
const mostParts = 100;

/** A page leads on by its last key alone: parts that have none are read on. */
async function firstKeys(provisioner: Provisioner, after: string | null): Promise<Listing> {
  let listing = await provisioner.list(after, pageOfKeys);
  for (let parts = 1; listing.next !== null && listing.keys.length + listing.shut.length === 0; parts += 1) {
    if (parts === mostParts) throw new Unavailable("it has too much between two keys");
    listing = await provisioner.list(after, pageOfKeys, listing.place);
  }
  return listing;
}
