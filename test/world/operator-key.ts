import type { ClientBase, Pool } from "pg";
import { makeKey, sha256 } from "../../src/http/credential.ts";
import { scopes } from "../../src/http/route.ts";

/** A new key's text; only its hash goes to the database. */
export async function newKey(): Promise<string> {
  return (await makeKey()).key;
}

/** Has the database know an operator's key with every scope. One that it knows already is left as it is. */
export async function ensureOperatorKey(owner: ClientBase | Pool, key: string, causedBy: string): Promise<void> {
  const hash = await sha256(key);
  const known = await owner.query("select from people.api_key where hash = $1", [hash]);
  if (known.rowCount === 0) {
    await owner.query(
      `select people.create_api_key(
         workspace_id => null, name => 'local operator', scopes => $1, hash => $2, prefix => $3, expires_in => null,
         caused_by => $4)`,
      [scopes, hash, key.slice(0, 10), causedBy],
    );
  }
}
