import { createHash, randomBytes } from "node:crypto";
import type { ClientBase, Pool } from "pg";

/** All that an operator's key may be allowed. */
const operatorScopes = [
  "credits:read",
  "credits:write",
  "ledger:adjust",
  "workspaces:read",
  "workspaces:write",
  "keys:read",
  "keys:write",
  "ops:read",
  "ops:write",
];

/** A new key's text; only its hash goes to the database. */
export function newKey(): string {
  return `tg_${randomBytes(32).toString("base64url")}`;
}

/** Has the database know an operator's key with every scope. One that it knows already is left as it is. */
export async function ensureOperatorKey(owner: ClientBase | Pool, key: string, causedBy: string): Promise<void> {
  const hash = createHash("sha256").update(key).digest("hex");
  const known = await owner.query("select from people.api_key where hash = $1", [hash]);
  if (known.rowCount === 0) {
    await owner.query(
      `select people.create_api_key(
         workspace_id => null, name => 'local operator', scopes => $1, hash => $2, prefix => $3, expires_in => null,
         caused_by => $4)`,
      [operatorScopes, hash, key.slice(0, 10), causedBy],
    );
  }
}
