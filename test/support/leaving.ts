import { idOf } from "./api.ts";
import { type Post, test as inPost } from "./post.ts";
import { newContact, newWorkspace, type ContactWish } from "./readers.ts";
import { rows } from "./scenario.ts";

/** What a page answered. */
export interface Page {
  status: number;
  headers: Headers;
  html: string;
}

/** Somebody who is written to by e-mail. */
export interface Reader {
  id: string;
  workspace: string;
  address: string;
}

const oneClick = "List-Unsubscribe=One-Click";

/** Readers of broadcasts by e-mail, and what a mail program does with what they are sent. */
class Readers {
  readonly post: Post;
  #written = 0;

  constructor(post: Post) {
    this.post = post;
  }

  async one(wish: ContactWish = {}): Promise<Reader> {
    const workspace = wish.workspace ?? (await newWorkspace(this.post.db));
    const address = wish.address ?? `reader@${workspace}.example`;
    return { id: await newContact(this.post.db, { ...wish, workspace, address }), workspace, address };
  }

  /** Writes, drafts and starts a broadcast to all, in a kind of its own unless told. Answers its id and kind. */
  async broadcast(kind = `broadcast.spring_${(this.#written += 1)}`): Promise<{ id: string; kind: string }> {
    const text = { kind, channel: "email", language: "en", subject: kind, body: "{{code}}" };
    await this.post.api.put("/v1/templates", text);
    return { id: await this.start(kind, { code: "SPRING" }), kind };
  }

  /** Drafts and starts one whose text is written; answers its id. */
  async start(kind: string, data: object = {}): Promise<string> {
    const { api } = this.post;
    const wish = { name: "News", channel: "email", kind, segment: { all: true }, data };
    const id = idOf(await api.post("/v1/broadcasts", wish));
    await api.post(`/v1/broadcasts/${id}/start`);
    return id;
  }

  /** What somebody had of a kind, by its subject. */
  mails({ address }: Reader, kind?: string) {
    return this.post.mail.mails.filter(({ to, subject }) => to === address && (kind === undefined || subject === kind));
  }

  /** Where the last of somebody's mails that says so has him leave: the path, at the Worker that wrote it. */
  wayOut(reader: Reader): string {
    const said = this.mails(reader).findLast(({ headers }) => headers !== undefined)?.headers?.["List-Unsubscribe"];
    const [, url] = /^<([^<>]+)>$/.exec(said ?? "") ?? [];
    if (url === undefined) throw new Error(`no way out for ${reader.address}: ${said}`);
    return new URL(url).pathname;
  }

  /** A way out of a broadcast that he was sent. */
  async invited(reader: Reader): Promise<string> {
    await this.broadcast();
    await this.post.run();
    return this.wayOut(reader);
  }

  /** The one click of RFC 8058: a form, and nothing that says who asks. */
  press(path: string, init: RequestInit = {}): Promise<Page> {
    const form = { "Content-Type": "application/x-www-form-urlencoded" };
    return this.open(path, { method: "POST", headers: form, body: oneClick, ...init });
  }

  async open(path: string, init: RequestInit = {}): Promise<Page> {
    const answer = await fetch(`${this.post.worker.url}${path}`, { redirect: "manual", ...init });
    return { status: answer.status, headers: answer.headers, html: await answer.text() };
  }

  /** Where the operator has somebody. */
  path({ id, workspace }: Pick<Reader, "id" | "workspace">): string {
    return `/v1/workspaces/${workspace}/contacts/${id}`;
  }

  /** What the operator changes of somebody; answers him. */
  async change(reader: Pick<Reader, "id" | "workspace">, body: object) {
    return this.post.api.call("PATCH", this.path(reader), { body });
  }

  /** Since when somebody has left broadcasts; null: he has not. */
  async leftAt({ id }: Pick<Reader, "id">): Promise<string | null | undefined> {
    const [row] = await rows<{ left_at: string | null }>(
      this.post.db,
      "select left_at::text from messages.contact where id = $1",
      [id],
    );
    return row?.left_at;
  }

  async optOuts({ id }: Pick<Reader, "id">): Promise<string[] | undefined> {
    const [row] = await rows<{ opt_outs: string[] }>(
      this.post.db,
      "select opt_outs from messages.contact where id = $1",
      [id],
    );
    return row?.opt_outs;
  }

  /** What the audit has of somebody's leaving. */
  audited({ id }: Pick<Reader, "id">) {
    return rows(
      this.post.db,
      "select workspace_id, actor, action, detail from ops.audit where subject = 'contact:' || $1 and action = 'contact.unsubscribe'",
      [id],
    );
  }
}

/** `test` with readers of its own: broadcasts are to all, and there is nobody else. */
export const test = inPost.extend("readers", async ({ post }) => {
  await post.db.query("delete from messages.contact");
  return new Readers(post);
});
