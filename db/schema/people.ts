import { sql } from "drizzle-orm";
import { check, foreignKey, index, pgSchema, primaryKey, text, unique, uuid } from "drizzle-orm/pg-core";
import { time } from "./columns.ts";

/** Who: workspaces and the API keys that act for them. */
export const people = pgSchema("people");

/**
 * A customer of the operator's. From `read_only_from` on (its subscription is not paid, or is over) and while `frozen_at` is
 * set (by the operator, or by a refund under the policy `freeze`), the workspace's own writes are refused.
 * Growth: one row per customer, kept for ever.
 */
export const workspace = people.table(
  "workspace",
  {
    id: uuid().notNull(),
    name: text().notNull(),
    read_only_from: time(),
    read_only_reason: text(),
    frozen_at: time(),
    frozen_reason: text(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "workspace_pk", columns: [t.id] }),
    check("workspace_name_length", sql`char_length(name) between 1 and 200`),
  ],
);

/**
 * A key is an operator's (`workspace_id` null) or a workspace's. Only the SHA-256 of its text is kept; the Worker's role
 * may not even read that column. Growth: one row per key, kept for ever (the ledger names its id as cause).
 */
export const api_key = people.table(
  "api_key",
  {
    id: uuid().notNull(),
    workspace_id: uuid(),
    name: text().notNull(),
    hash: text().notNull(),
    prefix: text().notNull(),
    scopes: text().array().notNull(),
    expires_at: time(),
    revoked_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "api_key_pk", columns: [t.id] }),
    foreignKey({ name: "api_key_workspace", columns: [t.workspace_id], foreignColumns: [workspace.id] }),
    unique("api_key_hash_once").on(t.hash),
    check("api_key_name_length", sql`char_length(name) between 1 and 200`),
    check("api_key_hash_is_sha256", sql`hash ~ '^[0-9a-f]{64}$'`),
    index("api_key_of_workspace").on(t.workspace_id, t.id),
  ],
);
