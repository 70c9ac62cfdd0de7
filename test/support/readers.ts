import { randomInt, randomUUID } from "node:crypto";
import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** What differs from an address of e-mail that is written to in English. */
export interface ContactWish {
  workspace?: string;
  channel?: "email" | "telegram";
  address?: string;
  language?: string;
  opt_outs?: string[];
}

/** A new workspace. */
export async function newWorkspace(db: Db): Promise<string> {
  return (await call<{ id: string }>(db, "people.create_workspace", { name: "Acme", caused_by: "test" })).id;
}

/** Somebody who can be written to; answers his id. Without a workspace, of a new one. */
export async function newContact(db: Db, wish: ContactWish = {}): Promise<string> {
  const { channel = "email", language = "en", opt_outs = [] } = wish;
  const workspace_id = wish.workspace ?? (await newWorkspace(db));
  const address = wish.address ?? (channel === "email" ? `${randomUUID()}@example.com` : String(randomInt(1e9, 1e12)));
  const args = { workspace_id, channel, address, language, opt_outs, caused_by: "test" };
  return (await call<{ id: string }>(db, "messages.create_contact", args)).id;
}

/** What a kind says from now on. */
export async function saveText(
  db: Db,
  wish: { kind: string; channel?: string; language?: string; body?: string; variables?: string[] },
): Promise<void> {
  const { kind, channel = "email", language = "en", body = "Hello", variables = [] } = wish;
  await call(db, "messages.put_template", {
    kind,
    channel,
    language,
    subject: channel === "email" ? "Hello" : null,
    body,
    variables,
    caused_by: "test",
  });
}

/** Something the house has to say to a workspace; answers the notice's id. */
export async function notify(db: Db, workspace: string, kind = "purchase_paid", body: object = {}): Promise<string> {
  const key = randomUUID();
  await db.query("select messages.enqueue('notice', $1, $2, $3, $4)", [kind, workspace, key, JSON.stringify(body)]);
  const [row] = await rows<{ id: string }>(
    db,
    "select id from messages.outbox where channel = 'notice' and dedupe_key = $1",
    [key],
  );
  return row?.id ?? "";
}

/** A message to somebody. */
export interface Sent {
  id: string;
  channel: string;
  kind: string;
  state: string;
  contact_id: string;
  body: Record<string, unknown>;
}

/** What became of a notice, and of it for each contact. */
export async function fanned(db: Db, notice: string): Promise<{ state: string | undefined; messages: Sent[] }> {
  const [row] = await rows<{ state: string }>(db, "select state from messages.outbox where id = $1", [notice]);
  const messages = await rows<Sent>(
    db,
    `select id, channel, kind, state, contact_id, body from messages.outbox
      where contact_id is not null and dedupe_key like $1 || ':%' order by contact_id`,
    [notice],
  );
  return { state: row?.state, messages };
}

/** What a run of a sweep of messages did. */
export const sweepMessages = (db: Db, name: "notices" | "broadcasts", batch: number) =>
  call<{ processed: number; failed: number; more: boolean }>(db, `messages.${name}`, { batch });

/** Sends what is due of a channel to nobody, and settles it: batch after batch, so many at most. Answers the ids of what was claimed. */
export async function pumpAll(db: Db, channel: string, most = Number.POSITIVE_INFINITY): Promise<string[]> {
  const all: string[] = [];
  while (all.length < most) {
    const claimed = await call<{ ids: string[]; tokens: string[] }>(db, "messages.claim", {
      channel,
      batch: Math.min(25, most - all.length),
      lease: "2 minutes",
    });
    await call(db, "messages.settle_many", { ids: claimed.ids, tokens: claimed.tokens });
    all.push(...claimed.ids);
    const due = await rows(db, "select from messages.outbox where channel = $1 and due_at <= ops.now() limit 1", [
      channel,
    ]);
    if (due.length === 0) break;
  }
  return all;
}
