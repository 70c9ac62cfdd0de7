import { and, asc, desc, eq, gt, lt, sql } from "drizzle-orm";
import { unionAll } from "drizzle-orm/pg-core";
import type { PgRemoteDatabase } from "drizzle-orm/pg-proxy";
import * as z from "zod";
import { key } from "../../db/schema/access.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { instant, utc, utcOrNull } from "../http/time.ts";
import type { ConfirmedState, KeyState, UnfinishedState } from "./model.ts";

const confirmCall = routine({
  name: "access.confirm",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ id: z.string(), state: z.enum(["active", "removed"]) }),
  result: z.object({
    id: z.string(),
    state: z.enum(["active", "removed"]),
    activated_at: instant.nullable(),
    revoked_at: instant.nullable(),
    removed_at: instant.nullable(),
  }),
});

const approveStraysCall = routine({
  name: "access.approve_strays",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ most: z.int() }),
  result: z.object({ strays: z.int(), approved_until: instant.nullable() }),
});

/** Every routine that this store calls, for the contract test. */
export const calls = [confirmCall, approveStraysCall];

/**
 * Is this key valid, and until when? Asked of what was paid for, so it waits for no sweep. Of a key that is unknown the same
 * question is asked, so that it takes as long.
 */
export async function getAccess(c: AppContext, presented: string) {
  const [row] = await read(c, { scope: "access:read", workspace: null }, (db) =>
    db
      .select({
        expires_at: sql<string | null>`billing.paid_until((
          select k.subscription_id from ${key} k where k.key = ${presented} and k.state in ('pending', 'active')))`.as(
          "expires_at",
        ),
      })
      .from(sql`(select) nothing`),
  );
  const expires_at = utcOrNull(row?.expires_at ?? null);
  return { valid: expires_at !== null, expires_at };
}

const columns = {
  id: key.id,
  key: key.key,
  workspace_id: key.workspace_id,
  subscription_id: key.subscription_id,
  state: sql<KeyState>`${key.state}`.as("state"),
  expires_at: sql<
    string | null
  >`case when ${key.state} in ('pending', 'active') then billing.paid_until(${key.subscription_id}) end`.as(
    "expires_at",
  ),
  activated_at: key.activated_at,
  revoked_at: key.revoked_at,
  removed_at: key.removed_at,
  created_at: key.created_at,
};

interface KeyRow {
  expires_at: string | null;
  activated_at: string | null;
  revoked_at: string | null;
  removed_at: string | null;
  created_at: string;
}

const shownKey = <Row extends KeyRow>(row: Row) => ({
  ...row,
  valid: row.expires_at !== null,
  expires_at: utcOrNull(row.expires_at),
  activated_at: utcOrNull(row.activated_at),
  revoked_at: utcOrNull(row.revoked_at),
  removed_at: utcOrNull(row.removed_at),
  created_at: utc(row.created_at),
});

/** A page of a workspace's keys, newest first, and one more. */
export async function listKeys(c: AppContext, workspace: string, page: Page) {
  const rows = await read(c, { scope: "billing:read", workspace }, (db, permit) =>
    db
      .select(columns)
      .from(key)
      .where(and(eq(key.workspace_id, permit.workspace_id), page.after === null ? undefined : lt(key.id, page.after)))
      .orderBy(desc(key.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownKey);
}

/** The first keys of a state after a page's place. The state stands in the text: a partial index serves no parameter. */
const ofState = (db: PgRemoteDatabase, state: UnfinishedState, page: Page) =>
  db
    .select(columns)
    .from(key)
    .where(
      and(
        state === "pending" ? sql`${key.state} = 'pending'` : sql`${key.state} = 'removing'`,
        page.after === null ? undefined : gt(key.id, page.after),
      ),
    )
    .orderBy(asc(key.id))
    .limit(page.limit + 1);

/** A page of the keys that somebody is to add or to remove, the oldest first, and one more. */
export async function listUnfinished(c: AppContext, page: Page, state: UnfinishedState | undefined) {
  const rows = await read(c, { scope: "access:read", workspace: null }, (db) =>
    state === undefined
      ? unionAll(ofState(db, "pending", page), ofState(db, "removing", page))
          .orderBy(asc(key.id))
          .limit(page.limit + 1)
      : ofState(db, state, page),
  );
  return rows.map(shownKey);
}

/** Takes the word of whoever provisions that a key was added or removed. Refuses `not_found`, `key_moved_on`. */
export async function confirm(c: AppContext, id: string, state: ConfirmedState) {
  const { activated_at, revoked_at, removed_at } = await write(c, {
    routine: confirmCall,
    args: { id, state },
    scope: "access:write",
    workspace: null,
  });
  return { id, state, activated_at, revoked_at, removed_at };
}

/** Takes a person's word that the strays which wait may be removed. Refuses `strays_more`. */
export async function approveStrays(c: AppContext, most: number) {
  return write(c, { routine: approveStraysCall, args: { most }, scope: "access:write", workspace: null });
}
