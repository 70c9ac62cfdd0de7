import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { type Answer, idOf } from "../support/api.ts";
import { test as inPost } from "../support/post.ts";
import { notify } from "../support/readers.ts";

const test = inPost.extend("api", ({ post }) => post.api);

const said = ({ status, body }: Answer) => [status, body["code"]];
const placeOf = ({ status, body }: Answer) => [
  status,
  Array.isArray(body["errors"]) ? body["errors"][0]?.pointer : null,
];

describe("a contact", () => {
  test("is made, shown, changed and deleted, each once by its key, and the audit knows no address", async ({ api }) => {
    const { id, path } = await api.workspace();
    const body = {
      channel: "email",
      address: "Ada@EXAMPLE.com",
      language: "de-AT",
      opt_outs: ["reminder", "broadcast.*"],
    };
    const key = randomUUID();
    const made = await api.post(`${path}/contacts`, body, key);
    const shown = {
      id: expect.any(String),
      workspace_id: id,
      ...body,
      address: "Ada@example.com",
      silenced_at: null,
      silenced_reason: null,
      left_at: null,
      created_at: expect.stringMatching(/Z$/),
    };
    expect([made.status, made.body]).toEqual([201, shown]);
    expect((await api.post(`${path}/contacts`, body, key)).body).toEqual(made.body);
    const again = await api.post(`${path}/contacts`, { ...body, address: "Ada@example.COM" });
    expect([...said(again), again.body["contact_id"]]).toEqual([409, "contact_exists", idOf(made)]);
    expect((await api.get(`${path}/contacts`)).body).toEqual({ data: [made.body], next_cursor: null });
    const one = `${path}/contacts/${idOf(made)}`;
    const silenced = await api.call("PATCH", one, { body: { silenced: true } });
    expect(silenced.body).toMatchObject({ silenced_at: expect.stringMatching(/Z$/), silenced_reason: "silenced" });
    const lifted = await api.call("PATCH", one, { body: { silenced: false, language: "en", opt_outs: [] } });
    expect(lifted.body).toEqual({ ...shown, language: "en", opt_outs: [] });
    expect((await api.call("DELETE", one)).status).toBe(200);
    expect(said(await api.call("DELETE", one))).toEqual([404, "not_found"]);
    expect(said(await api.call("PATCH", one, { body: {} }))).toEqual([404, "not_found"]);
    const audit = await api.get("/v1/audit?limit=4");
    expect(JSON.stringify(audit.body)).toMatch(/contact\.delete.*contact\.change.*contact\.change.*contact\.create/);
    expect(JSON.stringify(audit.body)).not.toMatch(/ada@/i);
  });

  test.for<[string, object, string]>([
    ["no channel of ours", { channel: "sms" }, "/channel"],
    ["no address", { address: "" }, "/address"],
    ["an address without a host", { address: "ada" }, "/address"],
    ["two addresses", { address: "ada@example.com, bob@example.com" }, "/address"],
    ["an address with a line of its own", { address: "ada@example.com\nBcc: x@example.com" }, "/address"],
    ["an address of 300 characters", { address: `${"a".repeat(290)}@example.com` }, "/address"],
    ["a chat by name", { channel: "telegram", address: "@ada" }, "/address"],
    ["a chat of 0", { channel: "telegram", address: "0" }, "/address"],
    ["a chat past what is exact", { channel: "telegram", address: "9999999999999999" }, "/address"],
    ["a chat in hexadecimal", { channel: "telegram", address: "0x10" }, "/address"],
    ["an e-mail address at Telegram", { channel: "telegram" }, "/address"],
    ["a language in words", { language: "german" }, "/language"],
    ["a language as nobody writes it", { language: "de_at" }, "/language"],
    ["an opt-out of what nobody says", { opt_outs: ["weather"] }, "/opt_outs/0"],
    ["an opt-out twice", { opt_outs: ["*", "*"] }, "/opt_outs"],
    ["a member that is none", { silenced: true }, "/silenced"],
  ])("with %s is refused by its place", async ([, wish, pointer], { api }) => {
    const { path } = await api.workspace();
    const body = { channel: "email", address: "ada@example.com", ...wish };
    expect(placeOf(await api.post(`${path}/contacts`, body))).toEqual([400, pointer]);
    expect((await api.get(`${path}/contacts`)).body["data"]).toEqual([]);
  });

  test("is its workspace's affair: its own key does it, another's does not, and one without the scope does not", async ({
    api,
  }) => {
    const [ours, theirs] = [await api.workspace(), await api.workspace()];
    const own = await api.withKey(["messages:read", "messages:write"], ours.id);
    const made = await own.post(`${ours.path}/contacts`, { channel: "telegram", address: "-100123" });
    expect(made.status).toBe(201);
    const foreign = await api.withKey(["messages:read", "messages:write"], theirs.id);
    const one = `${ours.path}/contacts/${idOf(made)}`;
    expect(said(await foreign.get(`${ours.path}/contacts`))).toEqual([404, "not_found"]);
    expect(said(await foreign.call("DELETE", one))).toEqual([404, "not_found"]);
    expect(said(await foreign.call("PATCH", `${theirs.path}/contacts/${idOf(made)}`, { body: {} }))).toEqual([
      404,
      "not_found",
    ]);
    const reader = await api.withKey(["messages:read"], ours.id);
    expect(said(await reader.call("DELETE", one))).toEqual([403, "forbidden"]);
    for (const path of ["/v1/message_kinds", "/v1/templates", "/v1/broadcasts"]) {
      expect(said(await own.get(path))).toEqual([403, "operator_key_required"]);
    }
    expect(
      said(await api.post(`/v1/workspaces/${randomUUID()}/contacts`, { channel: "telegram", address: "1" })),
    ).toEqual([404, "not_found"]);
  });
});

describe("a template", () => {
  const place = { kind: "purchase_paid", channel: "email", language: "de-CH" };

  test("is saved under a number, counts from then on, and is what a customer reads", async ({ api, post }) => {
    const words = {
      subject: "Danke für {{amount}}",
      body: "{{#pack}}{{quantity}} Stück{{/pack}}{{^pack}}nichts{{/pack}}",
    };
    const first = await api.put("/v1/templates", { ...place, ...words });
    expect(first.body).toMatchObject({ ...place, ...words, number: 1 });
    expect((await api.put("/v1/templates", { ...place, ...words })).body).toEqual(first.body);
    const second = await api.put("/v1/templates", { ...place, ...words, subject: "Danke!" });
    expect(second.body).toMatchObject({ number: 2, subject: "Danke!" });
    const query = "kind=purchase_paid&channel=email&language=";
    expect((await api.get(`/v1/templates/current?${query}de-CH`)).body).toMatchObject({ number: 2, language: "de-CH" });
    expect((await api.get(`/v1/templates/current?${query}de`)).body).toMatchObject({ number: 0, language: "de" });
    expect((await api.get(`/v1/templates?kind=purchase_paid`)).body["data"]).toMatchObject([
      { number: 2 },
      { number: 1 },
    ]);

    const { id, path } = await api.workspace();
    await api.post(`${path}/contacts`, { channel: "email", address: `ch@${id}.example`, language: "de-CH" });
    await api.post(`${path}/contacts`, { channel: "email", address: `at@${id}.example`, language: "de-AT" });
    const purchase = {
      purchase_id: id,
      kind: "credit_pack",
      provider: "manual",
      quantity: 3,
      amount_minor: 900,
      currency: "eur",
    };
    await notify(post.db, id, "purchase_paid", purchase);
    await post.run();
    const read = Object.fromEntries(post.mail.mails.map(({ to, subject, text }) => [to, [subject, text]]));
    expect(read[`ch@${id}.example`]).toEqual(["Danke!", "3 Stück"]);
    expect(read[`at@${id}.example`]?.[0]).toBe("Wir haben Ihre Zahlung erhalten");
    expect(read[`at@${id}.example`]?.[1]?.replaceAll(/\s/g, " ")).toContain(
      "Wir haben € 9,00 für Ihre Bestellung (Menge: 3)",
    );
  });

  test("whose data lack something is not sent with holes: it is given up, under its channel's alarm", async ({
    api,
    post,
  }) => {
    const { id, path } = await api.workspace();
    await api.post(`${path}/contacts`, { channel: "email", address: `ada@${id}.example` });
    await notify(post.db, id, "purchase_paid", { quantity: 3 });
    await post.run();
    expect(post.mail.mails.filter(({ to }) => to.includes(id))).toEqual([]);
    const dead = await api.get("/v1/messages?channel=email&state=dead&limit=1");
    expect(dead.body["data"]).toMatchObject([
      {
        kind: "purchase_paid",
        error: expect.stringMatching(/^the data of purchase_paid are not whole: .*amount_minor, currency$/),
      },
    ]);
    expect((await api.get("/v1/alarms")).body["data"]).toMatchObject([{ code: "messages_dead", subject: "email" }]);
    expect((await api.post("/v1/channels/email/retry")).status).toBe(200);
    await post.db.query("delete from messages.outbox where workspace_id = $1", [id]);
  });

  test.for<[string, object, string]>([
    ["a name that its kind does not have", { body: "{{days}}" }, "/body"],
    ["a name in its subject that its kind does not have", { subject: "{{days}}" }, "/subject"],
    ["a name of JavaScript's", { body: "{{constructor}}" }, "/body"],
    ["a partial", { body: "{{> x}}" }, "/body"],
    ["other marks", { body: "{{=<% %>=}}" }, "/body"],
    ["a section without an end", { body: "{{#pack}}" }, "/body"],
    ["no body", { body: "" }, "/body"],
    ["a body that is too long", { body: "x".repeat(10_001) }, "/body"],
    ["a subject of two lines", { subject: "a\nb" }, "/subject"],
    ["no subject", { subject: undefined }, "/subject"],
    ["a subject at Telegram", { channel: "telegram" }, "/subject"],
    ["a body too long for Telegram", { channel: "telegram", subject: undefined, body: "x".repeat(4097) }, "/body"],
    ["a kind that nobody says", { kind: "weather" }, "/kind"],
    ["a broadcast without a name", { kind: "broadcast." }, "/kind"],
    ["a language that is none", { language: "xx-x" }, "/language"],
    ["a member that is none", { html: "<b>" }, "/html"],
  ])("with %s is refused by its place", async ([, wish, pointer], { api }) => {
    const answer = await api.put("/v1/templates", { ...place, language: "fr", subject: "x", body: "x", ...wish });
    expect(placeOf(answer)).toEqual([400, pointer]);
    expect((await api.get("/v1/templates/current?kind=purchase_paid&channel=email&language=fr")).body).toMatchObject({
      number: 0,
    });
  });

  test("is previewed with sample data or given ones, as it is or as it would be", async ({ api }) => {
    const preview = (body: object) =>
      api.post("/v1/templates/preview", { kind: "trial_ended", channel: "email", language: "de", ...body });
    expect((await preview({})).body).toMatchObject({ language: "de", subject: "Ihr Probezeitraum ist zu Ende" });
    expect((await preview({ channel: "telegram" })).body).toMatchObject({ subject: null });
    expect((await preview({ subject: "{{#unpaid}}a{{/unpaid}}b", body: "c" })).body).toMatchObject({
      subject: "b",
      text: "c",
    });
    const reminder = { kind: "reminder", data: { days: "7" } };
    expect(placeOf(await preview(reminder))).toEqual([400, expect.stringMatching(/^\/data\/\w+$/)]);
    expect(placeOf(await preview({ body: "{{x}}", subject: "x" }))).toEqual([400, "/body"]);
    expect(said(await preview({ kind: "broadcast.nobody" }))).toEqual([404, "not_found"]);
  });
});

describe("D13 a broadcast", () => {
  const draft = {
    name: "Spring",
    channel: "telegram",
    kind: "broadcast.test",
    segment: { all: true },
    data: { code: "S" },
  };

  test("D13 is tried, drafted, started, stopped and resumed over HTTP, and read by everybody once", async ({
    api,
    post,
  }) => {
    await post.db.query("delete from messages.contact");
    await api.put("/v1/templates", {
      kind: "broadcast.test",
      channel: "telegram",
      language: "en",
      body: "Take {{code}}",
    });
    const { path } = await api.workspace();
    for (const address of ["71", "72", "73"]) await api.post(`${path}/contacts`, { channel: "telegram", address });
    expect((await api.post("/v1/broadcasts/dry_run", draft, null)).body).toEqual({ total: 3, more: false });
    const made = await api.post("/v1/broadcasts", draft);
    expect([made.status, made.body]).toMatchObject([201, { ...draft, state: "draft", queued: 0 }]);
    const one = `/v1/broadcasts/${idOf(made)}`;
    expect((await api.get(one)).body).toMatchObject({ state: "draft", total: 3 });
    await post.run();
    expect(said(await api.post(`${one}/stop`))).toEqual([409, "broadcast_moved_on"]);
    await api.post(`${one}/start`);
    await post.sweep("broadcasts");
    expect((await api.post(`${one}/stop`)).body).toMatchObject({ state: "stopped" });
    await post.run();
    const of = () => post.telegram.texts.filter(({ text }) => text === "Take S").map(({ chat }) => String(chat));
    expect(of()).toEqual([]);
    expect((await api.get(one)).body).toMatchObject({
      state: "stopped",
      queued: 3,
      total: null,
      waiting: 3,
      delivered: 0,
    });
    await api.post(`${one}/resume`);
    await post.mend();
    expect(of().toSorted()).toEqual(["71", "72", "73"]);
    expect((await api.get(one)).body).toMatchObject({ state: "done", waiting: 0, delivered: 3, dead: 0, canceled: 0 });
    expect((await api.get("/v1/broadcasts?limit=1")).body["data"]).toMatchObject([{ id: idOf(made), state: "done" }]);
  });

  test.for<[string, object, string]>([
    ["to nobody in particular", { segment: {} }, "/segment"],
    ["to all, but for some", { segment: { all: true, languages: ["de"] } }, "/segment"],
    ["to no plan", { segment: { plans: [] } }, "/segment/plans"],
    ["to a plan that is no code", { segment: { plans: ["'; drop"] } }, "/segment/plans/0"],
    ["to a state that is none", { segment: { subscriptions: ["happy"] } }, "/segment/subscriptions/0"],
    ["to a language that is none", { segment: { languages: ["german"] } }, "/segment/languages/0"],
    ["to a day that is none", { segment: { created_after: "infinity" } }, "/segment/created_after"],
    [
      "to days that are none",
      { segment: { created_after: "2027-01-01T00:00:00Z", created_before: "2026-01-01T00:00:00Z" } },
      "/segment/created_before",
    ],
    ["to a segment of a condition that is none", { segment: { age: 5 } }, "/segment/age"],
    ["of a notice's kind", { kind: "reminder" }, "/kind"],
    ["by no channel of ours", { channel: "sms" }, "/channel"],
    ["with data that nobody can write out", { data: { a: { b: 1 } } }, "/data/a"],
    ["without a name", { name: " " }, "/name"],
  ])("%s is refused by its place", async ([, wish, pointer], { api }) => {
    for (const path of ["/v1/broadcasts", "/v1/broadcasts/dry_run"]) {
      expect(placeOf(await api.post(path, { ...draft, ...wish }))).toEqual([400, pointer]);
    }
  });

  test("without a text, or without what its text names, is refused by name", async ({ api }) => {
    await api.put("/v1/templates", {
      kind: "broadcast.test",
      channel: "telegram",
      language: "en",
      body: "Take {{code}}",
    });
    for (const path of ["/v1/broadcasts", "/v1/broadcasts/dry_run"]) {
      expect(said(await api.post(path, { ...draft, kind: "broadcast.nobody" }))).toEqual([422, "template_unknown"]);
      const lacking = await api.post(path, { ...draft, data: {} });
      expect([...said(lacking), lacking.body["missing"]]).toEqual([422, "data_missing", ["code"]]);
    }
  });
});
