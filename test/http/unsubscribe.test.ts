import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { raceBehind } from "../support/barrier.ts";
import { footprint } from "../support/footprint.ts";
import { type Page, test } from "../support/leaving.ts";
import { publicUrl } from "../support/post.ts";
import { notify, sweepMessages } from "../support/readers.ts";
import { rows } from "../support/scenario.ts";
import { sweepOnly } from "../support/sweeping.ts";

const paid = {
  purchase_id: randomUUID(),
  kind: "credit_pack",
  provider: "manual",
  quantity: 1,
  amount_minor: 900,
  currency: "eur",
};

const titleOf = ({ html }: Page) => /<title>(.*)<\/title>/.exec(html)?.[1];

describe("D13 a broadcast's mail", () => {
  test("D13 says where to leave, the same at each try, and names nobody; a notice says nothing of it", async ({
    post,
    readers,
  }) => {
    const ada = await readers.one();
    const { kind } = await readers.broadcast();
    await notify(post.db, ada.workspace, "purchase_paid", paid);
    post.mail.behave("cut", 1);
    await post.run();
    await post.mend();
    const [news, more] = readers.mails(ada, kind);
    expect(more).toBeUndefined();
    expect(news?.headers).toEqual({
      "List-Unsubscribe": expect.stringMatching(/^<https:\/\/tollgate\.example\/unsubscribe\/[\w-]{66,}>$/),
      "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    });
    const path = readers.wayOut(ada);
    const read = Buffer.from(path.split("/").at(-1) ?? "", "base64url").toString("latin1");
    expect(path + read).toContain(kind.slice("broadcast.".length));
    expect(path + read).not.toMatch(new RegExp(`${ada.address}|${ada.workspace}|reader`));
    const tries = post.mail.requests.filter(({ headers }) => headers["idempotency-key"] === news?.key);
    expect(new Set(tries.map(({ text }) => text)).size).toBe(1);
    const notices = readers.mails(ada).filter(({ subject }) => subject !== kind);
    expect(notices.map(({ headers }) => headers)).toEqual([undefined]);
    const sent = post.mail.requests.filter(({ headers }) => headers["idempotency-key"] === notices[0]?.key);
    expect(sent.map(({ text }) => Object.keys(JSON.parse(text)))).toContainEqual(["from", "to", "subject", "text"]);
  });

  test("D13 is the same at the try after one of which nobody knows what came of it", async ({ post, readers }) => {
    const ada = await readers.one();
    const { kind } = await readers.broadcast();
    post.mail.behave("cut", 1);
    await post.run();
    await post.mend();
    const tries = post.mail.requests.filter(({ text }) => text.includes(ada.address) && text.includes(kind));
    expect(tries.length).toBe(2);
    expect(new Set(tries.map(({ text }) => text)).size).toBe(1);
  });

  test("D13 has the same link in its text, where that names it; a broadcast's own data go before it", async ({
    post,
    readers,
  }) => {
    const ada = await readers.one();
    const text = { kind: "broadcast.linked", channel: "email", language: "en", subject: "Linked" };
    const body = "Leave: {{unsubscribe_url}}";
    await post.api.put("/v1/templates", { ...text, body });
    const shown = await post.api.post("/v1/templates/preview", text);
    expect(shown.body).toMatchObject({ text: `Leave: ${publicUrl}/unsubscribe/…` });
    const texts = () => readers.mails(ada, "Linked").map((mail) => mail.text);
    await readers.start("broadcast.linked");
    await post.run();
    expect(texts()).toEqual([`Leave: ${publicUrl}${readers.wayOut(ada)}`]);
    await readers.start("broadcast.linked", { unsubscribe_url: "https://shop.example/bye" });
    await post.run();
    expect(texts().at(-1)).toBe("Leave: https://shop.example/bye");
    expect(readers.mails(ada).at(-1)?.headers?.["List-Unsubscribe"]).toBe(`<${publicUrl}${readers.wayOut(ada)}>`);
    // Where no link is given, it is a name like any other: asked for before anybody is written to.
    await post.api.put("/v1/templates", { ...text, channel: "telegram", subject: undefined, body });
    const wish = { name: "x", channel: "telegram", kind: "broadcast.linked", segment: { all: true }, data: {} };
    const lacking = await post.api.post("/v1/broadcasts", wish);
    expect([lacking.status, lacking.body["missing"]]).toEqual([422, ["unsubscribe_url"]]);
  });

  test.for(["PUBLIC_URL", "WEBHOOK_SIGNING_KEY"])(
    "D13 goes without a way out where there is no %s",
    async (lacking, { post, world, readers }) => {
      const ada = await readers.one();
      const path = await readers.invited(ada);
      const bindings = { ...post.mail.bindings, PUBLIC_URL: publicUrl, [lacking]: "" };
      const worker = await world.another(bindings);
      const { kind } = await readers.broadcast();
      await sweepOnly(post.db, worker, "broadcasts");
      await sweepOnly(post.db, worker, "email_outbox");
      expect(readers.mails(ada, kind)).toMatchObject([{ text: "SPRING" }]);
      expect(readers.mails(ada, kind)[0]?.headers).toBeUndefined();
      // A link that is in somebody's mail goes on working for as long as the key is there.
      const pressed = await fetch(`${worker.url}${path}`, { method: "POST" });
      expect(pressed.status).toBe(lacking === "PUBLIC_URL" ? 200 : 404);
    },
  );
});

describe("D13 one click", () => {
  test.for<[string, RequestInit, string[]?]>([
    ["of a form", {}],
    ["of a form in parts", { headers: {}, body: formOf("List-Unsubscribe", "One-Click") }],
    ["without a body", { headers: {}, body: null }],
    ["of what is no form", { headers: { "Content-Type": "application/json" }, body: '{"a":' }],
    ["of somebody who had some opt-outs", {}, ["reminder", "broadcast.other"]],
  ])(
    "D13 %s ends broadcasts, all of them, and nothing else; the audit knows who",
    async ([, init, before = []], { post, readers }) => {
      const [ada, bob] = [await readers.one({ opt_outs: before }), await readers.one()];
      const path = await readers.invited(ada);
      const { kind } = await readers.broadcast("broadcast.by_which");
      await post.run();
      const answer = await readers.press(readers.wayOut(ada), init);
      expect([answer.status, titleOf(answer)]).toEqual([200, "You are unsubscribed"]);
      expect([await readers.optOuts(ada), await readers.leftAt(ada)]).toEqual([before, expect.any(String)]);
      expect(await readers.audited(ada)).toEqual([
        {
          workspace_id: ada.workspace,
          actor: `contact:${ada.id}`,
          action: "contact.unsubscribe",
          detail: { kind },
        },
      ]);
      expect(path).not.toBe(readers.wayOut(ada));
      const next = await readers.broadcast();
      await notify(post.db, ada.workspace, "purchase_paid", paid);
      await post.run();
      expect(readers.mails(ada, next.kind)).toEqual([]);
      expect(readers.mails(bob, next.kind)).toHaveLength(1);
      expect(readers.mails(ada).at(-1)?.subject).toBe("We have received your payment");
    },
  );

  test("D13 twice, and twenty at once: one row of the audit", async ({ post, readers }) => {
    const ada = await readers.one();
    const path = await readers.invited(ada);
    const gate = { text: "select from messages.contact where id = $1 for update", values: [ada.id] };
    const answers = await raceBehind(post.db, gate, 20, () => readers.press(path));
    answers.push(await readers.press(path));
    expect(new Set(answers.map((answer) => `${answer.status} ${titleOf(answer)}`))).toEqual(
      new Set(["200 You are unsubscribed"]),
    );
    expect(await readers.leftAt(ada)).not.toBeNull();
    expect(await readers.audited(ada)).toHaveLength(1);
  });

  test("D13 of who has left, or is gone, changes nothing", async ({ post, readers }) => {
    const [ada, bob] = [await readers.one(), await readers.one()];
    await readers.invited(ada);
    await readers.change(ada, { left: true });
    await post.api.call("DELETE", readers.path(bob));
    const before = await footprint(post.db);
    for (const reader of [ada, bob]) {
      for (const answer of [await readers.press(readers.wayOut(reader)), await readers.open(readers.wayOut(reader))]) {
        expect([answer.status, titleOf(answer)]).toEqual([200, "You are unsubscribed"]);
      }
    }
    expect(await footprint(post.db)).toEqual(before);
  });

  test("D13 counts for what waits: who leaves between two batches, or while his own mail waits, is never sent it", async ({
    post,
    readers,
  }) => {
    const all = [];
    for (let i = 0; i < 30; i += 1) all.push(await readers.one());
    const [first, last] = [all[0], all.at(-1)];
    if (first === undefined || last === undefined) throw new Error("nobody reads");
    await readers.invited(first);
    const { id, kind } = await readers.broadcast();
    await sweepMessages(post.db, "broadcasts", 25);
    const waiting = await rows<{ contact_id: string }>(
      post.db,
      "select contact_id from messages.outbox where broadcast_id = $1 and state = 'queued'",
      [id],
    );
    expect(waiting).toHaveLength(25);
    expect(waiting).toContainEqual({ contact_id: first.id });
    expect(waiting).not.toContainEqual({ contact_id: last.id });
    for (const reader of [first, last]) await readers.press(readers.wayOut(reader));
    await post.run();
    await post.mend();
    const told = all.filter((reader) => readers.mails(reader, kind).length === 1);
    expect(told).toEqual(all.filter((reader) => reader !== first && reader !== last));
    expect((await post.api.get(`/v1/broadcasts/${id}`)).body).toMatchObject({
      state: "done",
      queued: 29,
      delivered: 28,
      canceled: 1,
    });
    const requests = post.mail.requests.filter(({ text }) => text.includes(kind));
    expect(requests.filter(({ text }) => text.includes(first.address) || text.includes(last.address))).toEqual([]);
  });

  test("D13 with more than a body may have is refused, and changes nothing", async ({ readers }) => {
    const ada = await readers.one();
    const answer = await readers.press(await readers.invited(ada), { body: "x".repeat(1_000_001) });
    expect(answer.status).toBe(413);
    expect(await readers.leftAt(ada)).toBeNull();
  });
});

describe("D13 the page", () => {
  test.for([
    ["en", "en", "Unsubscribe", "You are unsubscribed"],
    ["de-AT", "de", "Abmelden", "Sie sind abgemeldet"],
    ["fr", "en", "Unsubscribe", "You are unsubscribed"],
  ])(
    "D13 of a reader of %s has a button, and looking at it changes nothing",
    async ([language = "", spoken, ask, done], { post, readers }) => {
      const ada = await readers.one({ language });
      const path = await readers.invited(ada);
      const before = await footprint(post.db);
      for (const method of ["GET", "HEAD", "GET"]) {
        const answer = await readers.open(path, { method });
        expect([answer.status, Object.fromEntries(answer.headers)]).toMatchObject([
          200,
          {
            "content-type": "text/html; charset=UTF-8",
            "content-security-policy": expect.stringMatching(/^default-src 'none'; form-action 'self';/),
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-robots-tag": "noindex",
          },
        ]);
        expect(answer.headers.get("Set-Cookie")).toBeNull();
      }
      expect(await footprint(post.db)).toEqual(before);
      const shown = await readers.open(path);
      expect([titleOf(shown), shown.html.match(/<button/g)?.length]).toEqual([ask, 1]);
      expect(shown.html).toContain(`<html lang="${spoken}">`);
      expect(shown.html).not.toMatch(/<script|<style|style=|\ssrc=|\shref=| on\w+=/i);
      const [, method, name, value] =
        /<form method="(\w+)"><button name="([\w-]+)" value="([\w-]+)">/.exec(shown.html) ?? [];
      expect([method, `${name}=${value}`]).toEqual(["post", "List-Unsubscribe=One-Click"]);
      expect(titleOf(await readers.press(path))).toBe(done);
      expect(titleOf(await readers.open(path))).toBe(done);
    },
  );

  test("D13 answers nothing but GET and POST", async ({ readers }) => {
    const ada = await readers.one();
    const path = await readers.invited(ada);
    for (const method of ["PUT", "PATCH", "DELETE"]) {
      const answer = await readers.open(path, { method });
      expect([answer.status, answer.headers.get("Allow")]).toEqual([405, "GET, HEAD, POST"]);
    }
    expect(await readers.leftAt(ada)).toBeNull();
  });
});

function formOf(name: string, value: string): FormData {
  const form = new FormData();
  form.set(name, value);
  return form;
}
