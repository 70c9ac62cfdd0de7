import { and, desc, eq, lt, sql } from "drizzle-orm";
import * as z from "zod";
import { contact } from "../../db/schema/messages.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { instant, utc, utcOrNull } from "../http/time.ts";
import { addressOf, channel, type changeBody, type contactBody } from "./contact-model.ts";

const scope = "messages:write";

const createCall = routine({
  name: "messages.create_contact",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({ channel, address: z.string(), language: z.string(), opt_outs: z.array(z.string()) }),
  result: z.object({
    id: z.string(),
    workspace_id: z.string(),
    channel,
    address: z.string(),
    language: z.string(),
    opt_outs: z.array(z.string()),
    created_at: instant,
  }),
});

const changeCall = routine({
  name: "messages.change_contact",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({
    id: z.string(),
    language: z.string().nullable(),
    opt_outs: z.array(z.string()).nullable(),
    silenced: z.boolean().nullable(),
    has_left: z.boolean().nullable(),
  }),
  result: z.object({
    id: z.string(),
    workspace_id: z.string(),
    channel,
    address: z.string(),
    language: z.string(),
    opt_outs: z.array(z.string()),
    silenced_at: instant.nullable(),
    silenced_reason: z.string().nullable(),
    left_at: instant.nullable(),
    created_at: instant,
  }),
});

const deleteCall = routine({
  name: "messages.delete_contact",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({ id: z.string() }),
  result: z.object({ workspace_id: z.string(), id: z.string(), deleted_at: instant }),
});

/** Every routine that is called here, for the contract test. */
export const calls = [createCall, changeCall, deleteCall];

/** Makes a contact. Refuses `not_found`, `contact_exists`, `contact_limit_reached`. */
export async function createContact(c: AppContext, workspace: string, body: z.infer<typeof contactBody>) {
  const args = {
    channel: body.channel,
    address: addressOf(body.channel, body.address),
    language: body.language,
    opt_outs: body.opt_outs,
  };
  const made = await write(c, { routine: createCall, args, scope, workspace });
  return { ...made, silenced_at: null, silenced_reason: null, left_at: null };
}

/** Changes a contact; what is not said stays. Refuses `not_found`. */
export async function changeContact(c: AppContext, workspace: string, id: string, body: z.infer<typeof changeBody>) {
  const { language = null, opt_outs = null, silenced = null, left = null } = body;
  return write(c, {
    routine: changeCall,
    args: { id, language, opt_outs, silenced, has_left: left },
    scope,
    workspace,
  });
}

/** Nobody writes there any more. Refuses `not_found`. */
export async function deleteContact(c: AppContext, workspace: string, id: string) {
  return write(c, { routine: deleteCall, args: { id }, scope, workspace });
}

/** Its moments as answers show them. */
const withMoments = <Row extends { silenced_at: string | null; left_at: string | null; created_at: string }>(
  row: Row,
) => ({
  ...row,
  silenced_at: utcOrNull(row.silenced_at),
  left_at: utcOrNull(row.left_at),
  created_at: utc(row.created_at),
});

/** A page of a workspace's contacts, newest first, and one more. */
export async function listContacts(c: AppContext, workspace: string, page: Page) {
  const rows = await read(c, { scope: "messages:read", workspace }, (db, permit) =>
    db
      .select({
        id: contact.id,
        workspace_id: contact.workspace_id,
        channel: sql<"email" | "telegram">`${contact.channel}`.as("channel"),
        address: contact.address,
        language: contact.language,
        opt_outs: sql<string[]>`${contact.opt_outs}`.as("opt_outs"),
        silenced_at: contact.silenced_at,
        silenced_reason: contact.silenced_reason,
        left_at: contact.left_at,
        created_at: contact.created_at,
      })
      .from(contact)
      .where(
        and(
          eq(contact.workspace_id, permit.workspace_id),
          page.after === null ? undefined : lt(contact.id, page.after),
        ),
      )
      .orderBy(desc(contact.id))
      .limit(page.limit + 1),
  );
  return rows.map(withMoments);
}
