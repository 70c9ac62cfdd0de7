import * as z from "zod";
import { call } from "../db/call.ts";
import { routine } from "../db/routine.ts";
import { settings } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import { type Leaver, tokensOf } from "./way-out.ts";

const readerCall = routine({
  name: "messages.reader",
  context: {},
  args: z.strictObject({ contact_id: z.string() }),
  result: z.object({ contact_id: z.string(), language: z.string().nullable(), has_left: z.boolean().nullable() }),
});

const unsubscribeCall = routine({
  name: "messages.unsubscribe",
  context: {},
  args: z.strictObject({ contact_id: z.string(), kind: z.string() }),
  result: z.object({ contact_id: z.string(), language: z.string().nullable(), changed: z.boolean() }),
});

/** Every routine that is called here, for the contract test. */
export const calls = [readerCall, unsubscribeCall];

/** What mail programs take for the end of a link that stands in a text; none of it is in a token. */
const glued = " \t\r\n.,;:!?)]}>'\"/";

/** A token without what was glued to it. By hand and from its end: a pattern would read a long one once for each character. */
function unglued(token: string): string {
  let end = token.length;
  while (end > 0 && glued.includes(token.charAt(end - 1))) end -= 1;
  return token.slice(0, end);
}

/** Who leaves by a token; null where it is none of ours. Asks nothing of the database: a guess costs it nothing. */
export async function leaverOf(c: AppContext, token: string): Promise<Leaver | null> {
  const { webhook_key } = settings(c.env);
  return webhook_key === null ? null : (await tokensOf(webhook_key)).read(unglued(token));
}

/** Whom a page is for; without a language where the contact is gone. Changes nothing. */
export async function reader(c: AppContext, { contact_id }: Leaver) {
  return call(settings(c.env).database, readerCall, { contact_id }, c.get("trace"));
}

/** No more broadcasts to this contact. Doing it again changes nothing, and neither does it where the contact is gone. */
export async function unsubscribe(c: AppContext, { contact_id, kind }: Leaver) {
  return call(settings(c.env).database, unsubscribeCall, { contact_id, kind }, c.get("trace"));
}
