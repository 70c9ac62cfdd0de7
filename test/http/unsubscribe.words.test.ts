import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { Api, idOf } from "../support/api.ts";
import { test as inLeaving } from "../support/leaving.ts";
import { publicUrl } from "../support/post.ts";
import { rows } from "../support/scenario.ts";
import { sweepOnly } from "../support/sweeping.ts";

/** Beside the Worker that has a way out, one of the same database that has none. */
const test = inLeaving.extend("without", async ({ post, world }) => {
  const worker = await world.another({ ...post.mail.bindings, PUBLIC_URL: "" });
  return { worker, api: new Api(worker.url, world.operatorKey) };
});

/** A kind of its own, and a broadcast of it to all. */
function linked() {
  const kind = `broadcast.linked_${randomUUID().slice(0, 8)}`;
  const text = { kind, channel: "email", language: "en", subject: "Linked", body: "Leave: {{unsubscribe_url}}" };
  return { text, wish: { name: "x", channel: "email", kind, segment: { all: true }, data: {} } };
}

const lacks = [422, "data_missing", ["unsubscribe_url"]];

/** How each call of a broadcast's first steps ends: whether it could go. */
async function tried(api: Api, wish: object): Promise<unknown[]> {
  const said = [];
  for (const path of ["/v1/broadcasts/dry_run", "/v1/broadcasts"]) {
    const { status, body } = await api.post(path, wish);
    said.push(status < 300 ? "ok" : [status, body["code"], body["missing"]]);
  }
  return said;
}

describe("D13 a text with the link to leave", () => {
  test("D13 that was saved where there is none counts once there is one, unchanged", async ({
    post,
    readers,
    without,
  }) => {
    const ada = await readers.one();
    const { text, wish } = linked();
    expect((await without.api.put("/v1/templates", text)).status).toBe(200);
    expect(await tried(without.api, wish)).toEqual([lacks, lacks]);
    expect(await tried(without.api, { ...wish, data: { unsubscribe_url: "https://x.example" } })).toEqual(["ok", "ok"]);
    expect(await tried(post.api, wish)).toEqual(["ok", "ok"]);
    await readers.start(wish.kind);
    await post.run();
    expect(readers.mails(ada, "Linked").map((mail) => mail.text)).toEqual([
      `Leave: ${publicUrl}${readers.wayOut(ada)}`,
    ]);
  });

  test("D13 that was saved and drafted where there is one does not start where there is none any more", async ({
    post,
    without,
  }) => {
    const { text, wish } = linked();
    await post.api.put("/v1/templates", text);
    const id = idOf(await post.api.post("/v1/broadcasts", wish));
    expect(await tried(without.api, wish)).toEqual([lacks, lacks]);
    const start = await without.api.post(`/v1/broadcasts/${id}/start`);
    expect([start.status, start.body["code"], start.body["missing"]]).toEqual(lacks);
    expect((await post.api.post(`/v1/broadcasts/${id}/start`)).status).toBe(200);
  });

  test("D13 that has started waits while there is none, and is sent when there is one again", async ({
    post,
    readers,
    without,
  }) => {
    const ada = await readers.one();
    const { text, wish } = linked();
    await post.api.put("/v1/templates", text);
    const id = await readers.start(wish.kind);
    await sweepOnly(post.db, without.worker, "broadcasts");
    await sweepOnly(post.db, without.worker, "email_outbox");
    const waiting = await rows(post.db, "select state, attempts, error from messages.outbox where broadcast_id = $1", [
      id,
    ]);
    expect(waiting).toEqual([{ state: "queued", attempts: 1, error: expect.stringContaining("no unsubscribe_url") }]);
    expect(readers.mails(ada)).toEqual([]);
    // It is not the mail service's fault: nothing else waits.
    expect(await rows(post.db, "select failures from messages.channel where name = 'email'")).toEqual([
      { failures: 0 },
    ]);
    await post.mend();
    expect(readers.mails(ada, "Linked").map((mail) => mail.text)).toEqual([
      `Leave: ${publicUrl}${readers.wayOut(ada)}`,
    ]);
  });

  test("D13 is measured with a link as long as a reader's", async ({ post, readers }) => {
    const ada = await readers.one();
    // As long as a name may be.
    const kind = `broadcast.${randomUUID().replaceAll("-", "_").padEnd(50, "x")}`;
    const text = { kind, channel: "email", language: "en", subject: "Full" };
    const length = `${publicUrl}/unsubscribe/`.length + 131;
    const body = (spare: number) => `${"x".repeat(10_000 - length + spare)}{{ unsubscribe_url }}`;
    for (const [method, path] of [
      ["POST", "/v1/templates/preview"],
      ["PUT", "/v1/templates"],
    ] as const) {
      const long = await post.api.call(method, path, { body: { ...text, body: body(1) } });
      expect([long.status, long.body["errors"]]).toMatchObject([400, [{ pointer: "/body", code: "too_big" }]]);
    }
    const shown = await post.api.post("/v1/templates/preview", { ...text, body: body(0) });
    expect([shown.status, String(shown.body["text"]).slice(-14)]).toEqual([200, "/unsubscribe/…"]);
    expect((await post.api.put("/v1/templates", { ...text, body: body(0) })).status).toBe(200);
    await readers.start(kind);
    await post.run();
    expect(readers.mails(ada, "Full").map((mail) => mail.text.length)).toEqual([10_000]);
    // Of data, too, of which nobody knows when the text is saved.
    const words = { body: "{{a}}{{b}}{{c}}{{d}}{{e}}{{unsubscribe_url}}" };
    const [a, e] = ["x".repeat(2000), (spare: number) => "x".repeat(2000 - length + spare)];
    const filled = (spare: number) =>
      post.api.post("/v1/templates/preview", { ...text, ...words, data: { a, b: a, c: a, d: a, e: e(spare) } });
    expect((await filled(0)).status).toBe(200);
    const over = await filled(1);
    expect([over.status, over.body["errors"]]).toMatchObject([400, [{ pointer: "/data" }]]);
  });
});
