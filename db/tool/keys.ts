import { parseArgs } from "node:util";
import type { ClientBase } from "pg";
import { makeKey } from "../../src/http/credential.ts";
import { scopes } from "../../src/http/route.ts";
import { runAsCommand } from "./command.ts";
import { withClient } from "./connect.ts";
import { ownerUrl } from "./local.ts";
import { explained } from "./refusal.ts";

/** What a new key may do and for how long. Without a workspace it is an operator's. */
export interface KeyWish {
  name: string;
  workspace?: string | undefined;
  /** Without: every scope of an operator's, or all that a workspace's may have. */
  scopes?: string[] | undefined;
  /** As Postgres reads an interval: `90 days`. */
  expires_in?: string | undefined;
}

/** A key as lists show it. Its text is nowhere: only its hash is kept. */
export interface KeyRow {
  id: string;
  workspace_id: string | null;
  name: string;
  prefix: string;
  scopes: string[];
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
}

/** The scopes that a workspace's key may hold. */
const workspaceScopes = [
  "credits:read",
  "credits:write",
  "workspaces:read",
  "billing:read",
  "billing:write",
  "messages:read",
  "messages:write",
];

/** Makes a key. The text that is returned is shown nowhere again. */
export async function createKey(owner: ClientBase, wish: KeyWish): Promise<{ id: string; key: string }> {
  const { key, hash, prefix } = await makeKey();
  const may = wish.scopes ?? (wish.workspace === undefined ? [...scopes] : workspaceScopes);
  const { rows } = await owner.query<{ id: string }>(
    `select id from people.create_api_key(workspace_id => $1, name => $2, scopes => $3, hash => $4, prefix => $5,
       expires_in => $6, caused_by => $7)`,
    [wish.workspace ?? null, wish.name, may, hash, prefix, wish.expires_in ?? null, cause],
  );
  const [row] = rows;
  if (row === undefined) {
    throw new Error("people.create_api_key answered nothing");
  }
  return { id: row.id, key };
}

/** Every key that there ever was, the oldest first. */
export async function listKeys(owner: ClientBase): Promise<KeyRow[]> {
  const { rows } = await owner.query<KeyRow>(
    `select id, workspace_id, name, prefix, scopes, to_json(created_at) #>> '{}' as created_at,
            to_json(expires_at) #>> '{}' as expires_at, to_json(revoked_at) #>> '{}' as revoked_at
       from people.api_key order by id`,
  );
  return rows;
}

/** Ends a key: it is unknown from the next request on. Ending it again changes nothing. */
export async function revokeKey(owner: ClientBase, id: string): Promise<string> {
  const { rows } = await owner.query<{ revoked_at: string }>(
    `select to_json(revoked_at) #>> '{}' as revoked_at from people.revoke_api_key(id => $1, caused_by => $2)`,
    [id, cause],
  );
  return rows[0]?.revoked_at ?? "";
}

/** Who the audit names: whoever holds the owner's connection string. */
const cause = "command:keys";

/** `90d` → `90 days`: what `--expires` takes, so that nobody writes `1m` and wonders which. */
export function interval(words: string): string {
  const { count, unit } = /^(?<count>[1-9]\d{0,4})(?<unit>[hdwy])$/.exec(words)?.groups ?? {};
  const name = { h: "hours", d: "days", w: "weeks", y: "years" }[unit ?? ""];
  if (count === undefined || name === undefined) {
    throw new Error(`--expires ${words}: a number and h, d, w or y, as 90d`);
  }
  return `${count} ${name}`;
}

const help = `npm run keys -- create --name words [--workspace id] [--scopes a,b] [--expires 90d]
              list
              revoke id
  API keys, by the owner's DATABASE_URL (without it: the local stack's). A key without --workspace is an operator's: it
  may act for every workspace. Its text is printed once, by create; only its hash is kept.
  scopes: ${scopes.join(" ")}
  (a workspace's: ${workspaceScopes.join(" ")})`;

async function run(verb: string, id: string | undefined, wish: KeyWish): Promise<void> {
  if (verb === "create" && wish.name !== "") {
    const made = await withClient(ownerUrl(), (owner) => createKey(owner, wish));
    console.log(`id   ${made.id}\nkey  ${made.key}\nThis is the only time that it is shown.`);
  } else if (verb === "list") {
    for (const key of await withClient(ownerUrl(), listKeys)) {
      const state = key.revoked_at === null ? `expires ${key.expires_at ?? "never"}` : `revoked ${key.revoked_at}`;
      const holder = key.workspace_id === null ? "operator" : `workspace ${key.workspace_id}`;
      console.log([key.id, `${key.prefix}…`, holder, key.name, key.scopes.join(","), state].join("  "));
    }
  } else if (verb === "revoke" && id !== undefined) {
    console.log(`revoked ${await withClient(ownerUrl(), (owner) => revokeKey(owner, id))}`);
  } else {
    throw new Error(help);
  }
}

runAsCommand(import.meta, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      name: { type: "string" },
      workspace: { type: "string" },
      scopes: { type: "string" },
      expires: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const [verb, id] = positionals;
  if (values.help === true || verb === undefined) {
    console.log(help);
    return;
  }
  const wish = {
    name: values.name ?? "",
    workspace: values.workspace,
    scopes: values.scopes?.split(","),
    expires_in: values.expires === undefined ? undefined : interval(values.expires),
  };
  try {
    await run(verb, id, wish);
  } catch (error) {
    throw explained(error);
  }
});
