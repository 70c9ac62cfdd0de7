import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  index,
  integer,
  pgSchema,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { time } from "./columns.ts";

/** Who may use what is sold by the period. */
export const access = pgSchema("access");

/**
 * The key by which a subscription's customer is let in, wherever the operator sells access (lifecycle `access.key`): `pending` until
 * the provisioner has it, `active`, `removing` until the provisioner has removed it, `removed`. Whether it is valid is the
 * subscription's to say, not the state's: nobody waits for a sweep. `key` is random and shown to its customer; `id` is ours.
 * `adds`: how often it had to be added again, because the provisioner had lost it.
 * Growth: one row per subscription that was let in, kept for ever.
 */
export const key = access.table(
  "key",
  {
    id: uuid().notNull(),
    key: uuid().notNull(),
    workspace_id: uuid().notNull(),
    subscription_id: uuid().notNull(),
    state: text().notNull(),
    version: integer().notNull().default(1),
    activated_at: time(),
    revoked_at: time(),
    removed_at: time(),
    created_at: time().notNull(),
    adds: integer().notNull().default(0),
  },
  (t) => [
    primaryKey({ name: "key_pk", columns: [t.id] }),
    unique("key_once").on(t.key),
    // D19: whoever renews finds the key that is there.
    uniqueIndex("key_live_once")
      .on(t.subscription_id)
      .where(sql`state in ('pending', 'active')`),
    check(
      "key_activated_when_active",
      sql`state in ('removing', 'removed') or (state = 'active') = (activated_at is not null)`,
    ),
    check("key_revoked_when_not_live", sql`(state in ('pending', 'active')) = (revoked_at is null)`),
    check("key_removed_when_removed", sql`(state = 'removed') = (removed_at is not null)`),
    index("key_of_workspace").on(t.workspace_id, t.id),
    index("key_of_subscription").on(t.subscription_id),
    index("key_unfinished")
      .on(t.state, t.id)
      .where(sql`state in ('pending', 'removing')`),
    // The provisioner's list is read in this order, and held against it.
    index("key_active")
      .on(t.key)
      .where(sql`state = 'active'`),
  ],
);

/**
 * A key that the provisioner has and that no row, or only a removed one, stands for: in how many passes over its list it was seen since it
 * was last to be removed (`times`), and how often that was (`removals`). Seen in two, it is removed there; where they are many, once a
 * person has said so of each (`approved_at`). Growth: few rows; what a pass no longer sees goes.
 */
export const stray = access.table(
  "stray",
  {
    key: uuid().notNull(),
    times: integer().notNull().default(1),
    first_seen_at: time().notNull(),
    seen_at: time().notNull(),
    removals: integer().notNull().default(0),
    approved_at: time(),
  },
  (t) => [primaryKey({ name: "stray_pk", columns: [t.key] })],
);

/**
 * When strays were last removed without a person's word, in one row: an instant for each of them, the last day's. Strays are forgotten when
 * they are gone, and their messages are dropped: what was removed today must be known all the same. Growth: as many as may go in a day.
 */
export const strayDay = access.table(
  "stray_day",
  {
    singleton: boolean().notNull().default(true),
    removed_at: time()
      .array()
      .notNull()
      .default(sql`'{}'`),
  },
  (t) => [primaryKey({ name: "stray_day_pk", columns: [t.singleton] }), check("stray_day_one_row", sql`singleton`)],
);
