import { randomUUID } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { describe, expect } from "vitest";
import { Api, idOf, textOf } from "../support/api.ts";
import type { Answer } from "../support/api.ts";
import { Endpoint, silence } from "../support/endpoints.ts";
import { advance, rows } from "../support/scenario.ts";
import { sweepOnly } from "../support/sweeping.ts";
import { test as inWorld } from "../support/world.ts";
import { startReceiver } from "../world/receiver.ts";
import type { Receiver } from "../world/receiver.ts";

const path = "/v1/webhook_endpoints";

/** Nobody listens when a test begins, and whoever delivers begins anew. */
const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  .extend("receiver", async ({ db }, { onCleanup }) => {
    await silence(db);
    const receiver = await startReceiver();
    onCleanup(() => receiver.stop());
    return receiver;
  })
  .extend(
    "pump",
    ({ world, db }) =>
      () =>
        sweepOnly(db, world.worker, "webhook_outbox"),
  );

/** An endpoint that points to a receiver, which knows its secret. */
async function connected(api: Api, receiver: Receiver, events: string[] = ["*"]): Promise<string> {
  const made = await api.post(path, { url: receiver.url, events });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  receiver.secrets.push(textOf(made, "secret"));
  return idOf(made);
}

const refused = (answer: Answer) => [answer.status, answer.body["code"]];

const list = async (api: Api, from: string): Promise<Record<string, unknown>[]> => {
  const { data } = (await api.get(from)).body;
  return Array.isArray(data) ? data : [];
};

describe("an endpoint", () => {
  test("is made, shown, changed and deleted; its secret is in the answers that make it and in no other", async ({
    api,
  }) => {
    const url = `https://${randomUUID()}.example/hook`;
    const made = await api.post(path, { url, events: ["subscription.*", "credits.low"] });
    expect(made.body).toMatchObject({
      url,
      description: "",
      enabled: true,
      failing_since: null,
      secret: expect.any(String),
    });
    const secret = textOf(made, "secret");
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const id = idOf(made);
    const one = await api.get(`${path}/${id}`);
    const { secret: _, ...shown } = made.body;
    expect(one.body).toEqual(shown);
    expect((await list(api, path))[0]).toEqual(shown);
    const off = await api.call("PATCH", `${path}/${id}`, { body: { enabled: false, description: "the shop's" } });
    expect(off.body).toMatchObject({ enabled: false, disabled_reason: "operator", description: "the shop's", url });
    const on = await api.call("PATCH", `${path}/${id}`, { body: { enabled: true, events: ["*"] } });
    expect(on.body).toMatchObject({ enabled: true, disabled_at: null, disabled_reason: null, events: ["*"] });
    const gone = await api.call("DELETE", `${path}/${id}`);
    expect(gone.body).toEqual({ id, deleted_at: expect.any(String) });
    expect((await api.call("DELETE", `${path}/${id}`)).body).toEqual(gone.body);
    expect(refused(await api.get(`${path}/${id}`))).toEqual([404, "not_found"]);
    expect(refused(await api.call("PATCH", `${path}/${id}`, { body: { enabled: true } }))).toEqual([404, "not_found"]);
    for (const act of ["test", "rotate", "replay"]) {
      const body = act === "replay" ? { since: "2026-01-01T00:00:00Z" } : {};
      expect(refused(await api.post(`${path}/${id}/${act}`, body))).toEqual([404, "not_found"]);
    }
    expect(await list(api, path)).not.toContainEqual(expect.objectContaining({ id }));
    expect(await list(api, "/v1/audit?limit=4")).toMatchObject([
      { action: "webhook_endpoint.delete" },
      { action: "webhook_endpoint.change" },
      { action: "webhook_endpoint.change" },
      { action: "webhook_endpoint.create", subject: `webhook_endpoint:${id}` },
    ]);
  });

  test("that is made again under its key is the same one, with its secret", async ({ api, db }) => {
    const [key, body] = [randomUUID(), { url: "https://app.example/", events: ["*"] }];
    const [first, second] = [await api.post(path, body, key), await api.post(path, body, key)];
    expect(second.headers.get("Idempotent-Replayed")).toBe("true");
    expect(second.body).toEqual(first.body);
    const [kept] = await rows<{ text: string }>(db, "select e::text as text from messages.endpoint e where id = $1", [
      idOf(first),
    ]);
    expect(kept?.text).not.toContain(textOf(first, "secret").slice(6));
  });

  test("needs the deployment's key; where there is none nothing is made, and nothing is claimed", async ({
    world,
    api,
    db,
    receiver,
  }) => {
    const keyless = await world.another({ WEBHOOK_SIGNING_KEY: "" });
    const without = new Api(keyless.url, world.operatorKey);
    const made = await without.post(path, { url: "https://app.example/", events: ["*"] });
    expect(refused(made)).toEqual([500, "misconfigured"]);
    const id = await connected(api, receiver);
    expect(refused(await without.post(`${path}/${id}/rotate`))).toEqual([500, "misconfigured"]);
    await without.post(`${path}/${id}/test`);
    await sweepOnly(db, keyless, "webhook_outbox");
    expect((await list(api, `${path}/${id}/deliveries`)).map(({ state, attempts }) => [state, attempts])).toEqual([
      ["queued", 0],
    ]);
    // Who may not ask hears that, and not what the deployment lacks.
    const lacking = await api.withKey(["webhooks:read"]);
    const stranger = new Api(keyless.url, lacking.apiKey);
    expect(refused(await stranger.post(path, { url: "https://app.example/", events: ["*"] }))).toEqual([
      403,
      "forbidden",
    ]);
    expect(refused(await stranger.post(path, { url: "https://10.0.0.1/", events: ["*"] }))).toEqual([403, "forbidden"]);
  });

  test("is an operator's, by scopes of its own", async ({ api }) => {
    const workspace = await api.workspace();
    const customers = await api.withKey(["workspaces:read"], workspace.id);
    expect(refused(await customers.get(path))).toEqual([403, "operator_key_required"]);
    const made = await api.post("/v1/keys", { name: "x", scopes: ["webhooks:read"], workspace_id: workspace.id });
    expect(refused(made)).toEqual([422, "scope_not_for_workspace"]);
    expect(refused(await (await api.withKey(["ops:read", "ops:write"])).get(path))).toEqual([403, "forbidden"]);
  });

  test.for([
    [{ events: ["*"] }, "/url"],
    [{ url: "https://app.example/" }, "/events"],
    [{ url: "https://app.example/", events: [] }, "/events"],
    [{ url: "https://app.example/", events: ["*", "*"] }, "/events"],
    [{ url: "https://app.example/", events: ["subscription"] }, "/events/0"],
    [{ url: "https://app.example/", events: ["subscription.paid"] }, "/events/0"],
    [{ url: "https://app.example/", events: ["**"] }, "/events/0"],
    [{ url: "https://app.example/", events: "*" }, "/events"],
    [{ url: 7, events: ["*"] }, "/url"],
    [{ url: `https://app.example/${"x".repeat(2000)}`, events: ["*"] }, "/url"],
    [{ url: "https://app.example/", events: ["*"], description: "a\nb" }, "/description"],
    [{ url: "https://app.example/", events: ["*"], secret: "whsec_mine" }, "/secret"],
  ] as const)("of %j is refused by what is wrong", async ([body, pointer], { api }) => {
    const answer = await api.post(path, body);
    expect(refused(answer)).toEqual([400, "validation_failed"]);
    expect(answer.body["errors"]).toMatchObject([{ pointer }]);
  });

  test("goes nowhere that is not public: refused when it is saved, and again when it is sent to", async ({
    api,
    db,
    receiver,
    pump,
  }) => {
    // How workerd reads them is what counts; the whole table is unit/webhook.address.
    const hosts = [
      "127.1",
      "0x7f.1",
      "2130706433",
      "0177.0.0.1",
      "１２７.0.0.1",
      "[::ffff:7f00:1]",
      "[::1]",
      "169.254.169.254",
      "localhost.",
      "x.internal",
      "db",
      "[fd00::1]",
      "100.64.0.1",
    ];
    for (const host of hosts) {
      const answer = await api.post(path, { url: `https://${host}/`, events: ["*"] });
      expect([host, ...refused(answer)]).toEqual([host, 422, "webhook_url_refused"]);
      expect(textOf(answer, "detail")).toMatch(/public/);
    }
    for (const url of [
      "http://app.example/",
      "https://u:p@app.example/",
      "ftp://app.example/",
      "app.example",
      "https://app.example:22/",
    ]) {
      expect([url, ...refused(await api.post(path, { url, events: ["*"] }))]).toEqual([
        url,
        422,
        "webhook_url_refused",
      ]);
    }
    const id = await connected(api, receiver, ["credits.low"]);
    expect(refused(await api.call("PATCH", `${path}/${id}`, { body: { url: "https://10.0.0.1/" } }))).toEqual([
      422,
      "webhook_url_refused",
    ]);
    // A row that says otherwise, however it came to.
    await db.query("update messages.endpoint set url = $1 where id = $2", [
      `https://user@127.0.0.1:${new URL(receiver.url).port}/`,
      id,
    ]);
    await api.post(`${path}/${id}/test`);
    await pump();
    const [sent] = await list(api, `${path}/${id}/deliveries`);
    expect(sent).toMatchObject({
      state: "dead",
      attempts: 1,
      error: "nothing may be sent there: it has credentials in it",
    });
    await db.query("update messages.endpoint set url = 'https://2130706433/' where id = $1", [id]);
    await api.post(`${path}/${id}/test`);
    await pump();
    const [next] = await list(api, `${path}/${id}/deliveries`);
    expect(next).toMatchObject({ state: "dead", error: "nothing may be sent there: its address is not public" });
    expect(receiver.peer.requests).toHaveLength(0);
  });
});

describe("a delivery", () => {
  test("is signed as the standard says, once, and logged", async ({ api, receiver, pump }) => {
    const id = await connected(api, receiver, ["credits.low"]);
    const tested = await api.post(`${path}/${id}/test`);
    expect(tested.status).toBe(201);
    await pump();
    const [request] = receiver.peer.requests;
    expect(request).toMatchObject({
      method: "POST",
      path: "/webhooks",
      headers: { "content-type": "application/json" },
    });
    expect(request?.headers["webhook-id"]).toBe(textOf(tested, "event_id"));
    expect(Math.abs(Number(request?.headers["webhook-timestamp"]) - Date.now() / 1000)).toBeLessThan(60);
    expect(receiver.events).toMatchObject([{ type: "webhook.test", data: { endpoint_id: id, version: 1 } }]);
    // The library itself refuses another body, another id, and another secret.
    const [secret = ""] = receiver.secrets;
    const headers = { ...request?.headers };
    expect(() => new Webhook(secret).verify(`${request?.text} `, headers)).toThrow("No matching");
    expect(() => new Webhook(secret).verify(request?.text ?? "", { ...headers, "webhook-id": randomUUID() })).toThrow();
    expect(() => new Webhook(`whsec_${btoa("another")}`).verify(request?.text ?? "", headers)).toThrow();
    expect(await list(api, `${path}/${id}/deliveries`)).toMatchObject([
      {
        id: textOf(tested, "delivery_id"),
        event_id: textOf(tested, "event_id"),
        type: "webhook.test",
        state: "delivered",
        attempts: 1,
        error: null,
      },
    ]);
  });

  test("tells of what happens by the API, sorted by version", async ({ api, receiver, pump }) => {
    await connected(api, receiver, ["credits.*"]);
    const { credits, id } = await api.workspace({ bulk: 150 });
    expect((await api.put(`${credits}/low_mark`, { below: 100 })).body).toEqual({ below: 100, available: 150 });
    await api.post(`${credits}/spend`, { amount: 51 });
    await api.post(`${credits}/spend`, { amount: 1 });
    await pump();
    expect(receiver.events.map(({ type, data }) => [type, data["available"], data.version])).toEqual([
      ["credits.low", 99, 1],
    ]);
    expect(receiver.knows.get(id)?.data).toMatchObject({ workspace_id: id, below: 100 });
    expect(await list(api, "/v1/webhook_events?type=credits.low&limit=1")).toMatchObject([
      { id: receiver.events[0]?.id, type: "credits.low", workspace_id: id, data: { available: 99 } },
    ]);
    expect(await list(api, "/v1/webhook_events?type=access.removed")).toEqual([]);
    expect(refused(await api.get("/v1/webhook_events?type=nothing"))).toEqual([400, "validation_failed"]);
  });

  test("is signed by both secrets while one is rotated, and then by the new one alone", async ({
    api,
    db,
    receiver,
    pump,
  }) => {
    const id = await connected(api, receiver);
    const [first = ""] = receiver.secrets;
    const rotated = await api.post(`${path}/${id}/rotate`, { keep_old_for: 3600 });
    expect(rotated.body).toEqual({ id, secret: expect.any(String), old_secret_until: expect.any(String) });
    const second = textOf(rotated, "secret");
    expect(second).not.toBe(first);
    const verify = async (secret: string) => {
      receiver.secrets = [secret];
      const before = receiver.events.length;
      await api.post(`${path}/${id}/test`);
      await pump();
      const taken = receiver.events.length > before;
      receiver.secrets = [first, second, third];
      await advance(db, "10 minutes");
      await pump();
      return taken;
    };
    let third = "";
    expect(receiver.peer.requests).toHaveLength(0);
    expect([await verify(first), await verify(second)]).toEqual([true, true]);
    expect(receiver.peer.requests[0]?.headers["webhook-signature"]?.split(" ")).toHaveLength(2);
    await advance(db, "1 hour");
    expect([await verify(first), await verify(second)]).toEqual([false, true]);
    expect((await api.get(`${path}/${id}`)).body).toMatchObject({ old_secret_until: null });
    // One that has leaked stops at once; and the one before it never comes back.
    third = textOf(await api.post(`${path}/${id}/rotate`, { keep_old_for: 0 }), "secret");
    expect([await verify(second), await verify(third), await verify(first)]).toEqual([false, true, false]);
    expect(receiver.peer.requests.at(-1)?.headers["webhook-signature"]?.split(" ")).toHaveLength(1);
    expect(receiver.refused).toHaveLength(3);
    // Without being told otherwise, a day.
    const until = Date.parse(textOf(await api.post(`${path}/${id}/rotate`), "old_secret_until"));
    const [now] = await rows<{ at: string }>(db, "select (extract(epoch from ops.now()) * 1000)::text as at");
    expect(Math.round((until - Number(now?.at)) / 3_600_000)).toBe(24);
  });

  test("is tried by the schedule until it is taken, with one id and one body", async ({ api, db, receiver, pump }) => {
    const id = await connected(api, receiver, ["credits.low"]);
    await api.post(`${path}/${id}/test`);
    receiver.answer = 500;
    const waits = [];
    for (let tries = 1; tries <= 9; tries += 1) {
      await pump();
      const [sent] = await new Endpoint(db, id).sent();
      expect(sent).toMatchObject({ state: "queued", attempts: tries, error: "answered 500" });
      waits.push(sent?.seconds ?? 0);
      await advance(db, `${(sent?.seconds ?? 0) + 1800} seconds`);
    }
    const schedule = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (const [i, wait] of waits.entries()) {
      expect(wait).toBeGreaterThan(0.8 * (schedule[i] ?? 0) - 4);
      expect(wait).toBeLessThan(1.2 * (schedule[i] ?? 0) + 1);
    }
    await pump();
    expect(await list(api, `${path}/${id}/deliveries`)).toMatchObject([{ state: "dead", attempts: 10, due_at: null }]);
    expect(receiver.peer.requests).toHaveLength(10);
    expect(new Set(receiver.peer.requests.map(({ headers, text }) => `${headers["webhook-id"]} ${text}`)).size).toBe(1);
    expect(await new Endpoint(db, id).alarms()).toEqual(["endpoint_failing"]);

    receiver.answer = 204;
    const replayed = await api.post(`${path}/${id}/replay`, { since: "2026-01-01T00:00:00Z" });
    expect(replayed.body).toEqual({ id, replayed: 1, more: false });
    await advance(db, "31 minutes");
    await pump();
    expect(receiver.events).toHaveLength(1);
    expect(await list(api, `${path}/${id}/deliveries`)).toMatchObject([{ state: "delivered", attempts: 1 }]);
    expect(await new Endpoint(db, id).alarms()).toEqual([]);
    expect((await api.post(`${path}/${id}/replay`, { since: "2026-01-01T00:00:00Z" })).body).toMatchObject({
      replayed: 0,
    });
  });

  test.for([200, 201, 202, 204, 299])("is taken by a %i", async (status, { api, receiver, pump }) => {
    const id = await connected(api, receiver);
    receiver.answer = status;
    await api.post(`${path}/${id}/test`);
    await pump();
    expect(await list(api, `${path}/${id}/deliveries`)).toMatchObject([{ state: "delivered" }]);
  });

  test.for([301, 302, 307, 308, 400, 401, 404, 409, 422, 429, 500, 503])(
    "is not taken by a %i",
    async (status, { api, db, receiver, pump }) => {
      const id = await connected(api, receiver);
      receiver.answer = status;
      await api.post(`${path}/${id}/test`);
      await pump();
      expect(await list(api, `${path}/${id}/deliveries`)).toMatchObject([
        { state: "queued", attempts: 1, error: `answered ${status}` },
      ]);
      expect(await new Endpoint(db, id).row()).toMatchObject({ failures: 1, failing_since: expect.any(String) });
      expect(receiver.peer.requests).toHaveLength(1);
    },
  );
});
