import { desc, eq, lt } from "drizzle-orm";
import * as z from "zod";
import { api_key, workspace } from "../../db/schema/people.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import { makeKey } from "../http/credential.ts";
import type { Page } from "../http/pagination.ts";
import { Problem } from "../http/problem.ts";
import { instant, utc, utcOrNull } from "../http/time.ts";

const createWorkspaceCall = routine({
  name: "people.create_workspace",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ name: z.string() }),
  result: z.object({ id: z.string(), name: z.string(), created_at: instant }),
});

const createKeyCall = routine({
  name: "people.create_api_key",
  context: { caused_by: "caused_by", granted_by: "key_id" },
  args: z.strictObject({
    workspace_id: z.string().nullable(),
    name: z.string(),
    scopes: z.array(z.string()),
    hash: z.string(),
    prefix: z.string(),
    expires_in: z.string().nullable(),
  }),
  result: z.object({
    id: z.string(),
    workspace_id: z.string().nullable(),
    name: z.string(),
    prefix: z.string(),
    scopes: z.array(z.string()),
    expires_at: instant.nullable(),
    created_at: instant,
  }),
});

const revokeKeyCall = routine({
  name: "people.revoke_api_key",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ id: z.string() }),
  result: z.object({ id: z.string(), revoked_at: instant }),
});

const freezeCall = routine({
  name: "people.freeze_workspace",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({ reason: z.string() }),
  result: z.object({ workspace_id: z.string(), reason: z.string(), frozen_at: instant }),
});

const unfreezeCall = routine({
  name: "people.unfreeze_workspace",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({}),
  result: z.object({ workspace_id: z.string(), frozen: z.boolean() }),
});

/** Every routine that this store calls, for the contract test. */
export const calls = [createWorkspaceCall, createKeyCall, revokeKeyCall, freezeCall, unfreezeCall];

/** Makes a customer of the operator's. */
export async function createWorkspace(c: AppContext, name: string) {
  const {
    id,
    name: kept,
    created_at,
  } = await write(c, {
    routine: createWorkspaceCall,
    args: { name },
    scope: "workspaces:write",
    workspace: null,
  });
  return { id, name: kept, created_at };
}

/** Refuses the workspace's own writes until `unfreeze`. */
export async function freeze(c: AppContext, id: string, reason: string) {
  const row = await write(c, { routine: freezeCall, args: { reason }, scope: "workspaces:write", workspace: id });
  return { id: row.workspace_id, frozen_at: row.frozen_at, frozen_reason: row.reason };
}

/** Lets a frozen workspace write again. */
export async function unfreeze(c: AppContext, id: string) {
  const row = await write(c, { routine: unfreezeCall, args: {}, scope: "workspaces:write", workspace: id });
  return { id: row.workspace_id, frozen_at: null, frozen_reason: null };
}

/** Makes an API key; its text leaves here and is never stored. Refuses `scope_not_for_workspace`, and `forbidden` for a scope that the caller's key lacks. */
export async function createKey(
  c: AppContext,
  body: {
    workspace_id?: string | undefined;
    name: string;
    scopes: string[];
    expires_in?: number | undefined;
  },
) {
  const made = await makeKey();
  const row = await write(c, {
    routine: createKeyCall,
    args: {
      workspace_id: body.workspace_id ?? null,
      name: body.name,
      scopes: body.scopes,
      hash: made.hash,
      prefix: made.prefix,
      expires_in: body.expires_in === undefined ? null : `${body.expires_in} seconds`,
    },
    scope: "keys:write",
    workspace: null,
  });
  // A replay answers for the key that the first call made: the one made just now exists nowhere.
  const key = c.get("trace").replayed ? null : made.key;
  return {
    id: row.id,
    workspace_id: row.workspace_id,
    name: row.name,
    prefix: row.prefix,
    scopes: row.scopes,
    expires_at: row.expires_at,
    revoked_at: null,
    created_at: row.created_at,
    key,
  };
}

/** Ends a key at once, whatever runs under it later. Revoking again answers the first time. */
export async function revokeKey(c: AppContext, id: string) {
  const row = await write(c, { routine: revokeKeyCall, args: { id }, scope: "keys:write", workspace: null });
  return { id: row.id, revoked_at: row.revoked_at };
}

const workspaceColumns = {
  id: workspace.id,
  name: workspace.name,
  created_at: workspace.created_at,
  read_only_from: workspace.read_only_from,
  frozen_at: workspace.frozen_at,
};

interface WorkspaceRow {
  created_at: string;
  read_only_from: string | null;
  frozen_at: string | null;
}

const shownWorkspace = <Row extends WorkspaceRow>(row: Row) => ({
  ...row,
  created_at: utc(row.created_at),
  read_only_from: utcOrNull(row.read_only_from),
  frozen_at: utcOrNull(row.frozen_at),
});

/** One workspace. Refuses `not_found`. */
export async function getWorkspace(c: AppContext, id: string) {
  const [row] = await read(c, { scope: "workspaces:read", workspace: id }, (db, permit) =>
    db.select(workspaceColumns).from(workspace).where(eq(workspace.id, permit.workspace_id)),
  );
  if (row === undefined) throw new Problem("not_found");
  return shownWorkspace(row);
}

/** A page of workspaces, newest first, and one more. */
export async function listWorkspaces(c: AppContext, page: Page) {
  const rows = await read(c, { scope: "workspaces:read", workspace: null }, (db) =>
    db
      .select(workspaceColumns)
      .from(workspace)
      .where(page.after === null ? undefined : lt(workspace.id, page.after))
      .orderBy(desc(workspace.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownWorkspace);
}

/** What is shown of a key. The hash is not among the columns: the Worker's role may not even read it. */
const keyColumns = {
  id: api_key.id,
  workspace_id: api_key.workspace_id,
  name: api_key.name,
  prefix: api_key.prefix,
  scopes: api_key.scopes,
  expires_at: api_key.expires_at,
  revoked_at: api_key.revoked_at,
  created_at: api_key.created_at,
};

/** A page of API keys, newest first, and one more. */
export async function listKeys(c: AppContext, page: Page) {
  const rows = await read(c, { scope: "keys:read", workspace: null }, (db) =>
    db
      .select(keyColumns)
      .from(api_key)
      .where(page.after === null ? undefined : lt(api_key.id, page.after))
      .orderBy(desc(api_key.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownKey);
}

function shownKey<Row extends { expires_at: string | null; revoked_at: string | null; created_at: string }>(row: Row) {
  return {
    ...row,
    expires_at: utcOrNull(row.expires_at),
    revoked_at: utcOrNull(row.revoked_at),
    created_at: utc(row.created_at),
  };
}
