import { createHash, randomUUID } from "node:crypto";
import { expect } from "vitest";
import { Api, idOf, textOf } from "../support/api.ts";
import { test as inWorld } from "../support/world.ts";

const test = inWorld.extend("api", ({ world }) => new Api(world.url, world.operatorKey));

test("a key is shown once, works at once, and is kept as its hash", async ({ api, db }) => {
  const { id: workspace_id, credits } = await api.workspace({ bulk: 3 });
  const made = await api.post("/v1/keys", { workspace_id, name: "backend", scopes: ["credits:read"] });
  expect(made.status).toBe(201);
  expect(made.body).toEqual({
    id: expect.any(String),
    workspace_id,
    name: "backend",
    prefix: textOf(made, "key").slice(0, 10),
    scopes: ["credits:read"],
    expires_at: null,
    revoked_at: null,
    created_at: expect.any(String),
    key: expect.stringMatching(/^tg_[A-Za-z0-9_-]{43}$/),
  });
  expect((await api.as(textOf(made, "key")).get(credits)).body).toMatchObject({ available: 3 });

  const hash = createHash("sha256").update(textOf(made, "key")).digest("hex");
  const { rows } = await db.query<{ hash: string }>("select hash from people.api_key where id = $1", [idOf(made)]);
  expect(rows).toEqual([{ hash }]);
  for (const answer of [await api.get("/v1/keys?limit=100"), await api.get("/v1/audit?limit=100")]) {
    const text = JSON.stringify(answer.body);
    expect(text).toContain(textOf(made, "prefix"));
    expect(text).not.toContain(hash);
    expect(text).not.toContain(textOf(made, "key"));
  }
  const kept = await db.query("select from ops.request where answer::text like '%' || $1 || '%'", [
    textOf(made, "key"),
  ]);
  expect(kept.rowCount).toBe(0);
});

test("a repeated call makes one key, and does not show it again", async ({ api }) => {
  const body = { name: randomUUID(), scopes: ["ops:read"] };
  const first = await api.post("/v1/keys", body, body.name);
  const again = await api.post("/v1/keys", body, body.name);
  expect(again.headers.get("Idempotent-Replayed")).toBe("true");
  expect(again.body).toEqual({ ...first.body, key: null });
  const { data } = (await api.get("/v1/keys?limit=100")).body;
  expect(JSON.stringify(data).split(body.name)).toHaveLength(2);
});

test("an answer that is lost on its way from the database still shows the key", async ({ api, bridge }) => {
  bridge.faults.next({ kind: "drop", when: "after" });
  const made = await api.post("/v1/keys", { name: "lost", scopes: ["ops:read"] });
  expect([made.status, made.headers.get("Idempotent-Replayed")]).toEqual([201, null]);
  expect((await api.as(textOf(made, "key")).get("/v1/alarms")).status).toBe(200);
});

test("a revoked key is unknown from the next request on; revoking again changes nothing", async ({ api }) => {
  const made = await api.post("/v1/keys", { name: "leaked", scopes: ["ops:read"] });
  const client = api.as(textOf(made, "key"));
  expect((await client.get("/v1/alarms")).status).toBe(200);
  const revoked = await api.post(`/v1/keys/${idOf(made)}/revoke`);
  expect([revoked.status, revoked.body]).toEqual([200, { id: idOf(made), revoked_at: expect.any(String) }]);
  const refused = await client.get("/v1/alarms");
  expect([refused.status, refused.body["code"]]).toEqual([401, "unauthenticated"]);
  expect(refused.headers.get("WWW-Authenticate")).toContain("Bearer");
  expect((await api.post(`/v1/keys/${idOf(made)}/revoke`)).body).toEqual(revoked.body);
  const missing = await api.post(`/v1/keys/${randomUUID()}/revoke`);
  expect([missing.status, missing.body["code"]]).toEqual([404, "not_found"]);
});

test("a key expires by the database's clock", async ({ api, db }) => {
  const made = await api.post("/v1/keys", { name: "short", scopes: ["ops:read"], expires_in: 60 });
  const client = api.as(textOf(made, "key"));
  expect((await client.get("/v1/alarms")).status).toBe(200);
  await db.query("update ops.clock set clock_offset = interval '60 seconds'");
  try {
    expect((await client.get("/v1/alarms")).status).toBe(401);
  } finally {
    await db.query("update ops.clock set clock_offset = interval '0'");
  }
});

test("a workspace's key holds no operator's scope", async ({ api }) => {
  const { id: workspace_id } = await api.workspace();
  for (const scope of ["workspaces:write", "ledger:adjust", "keys:read", "keys:write", "ops:read", "ops:write"]) {
    const answer = await api.post("/v1/keys", { workspace_id, name: "x", scopes: ["credits:read", scope] });
    expect([answer.status, answer.body["code"], answer.body["scope"]]).toEqual([422, "scope_not_for_workspace", scope]);
  }
  const unknown = await api.post("/v1/keys", { name: "x", scopes: ["everything"] });
  expect([unknown.status, unknown.body["errors"]]).toMatchObject([400, [{ pointer: "/scopes/0" }]]);
  const twice = await api.post("/v1/keys", { name: "x", scopes: ["ops:read", "ops:read"] });
  expect([twice.status, twice.body["errors"]]).toMatchObject([400, [{ pointer: "/scopes" }]]);
  const nobody = await api.post("/v1/keys", { workspace_id: randomUUID(), name: "x", scopes: ["credits:read"] });
  expect([nobody.status, nobody.body["code"]]).toEqual([404, "not_found"]);
});

test("a key gives no scope that it lacks, to nobody", async ({ api }) => {
  const { id: workspace_id } = await api.workspace();
  const maker = await api.withKey(["keys:write", "credits:read"]);
  for (const [scope, whose] of [
    ["ledger:adjust", {}],
    ["ops:write", {}],
    ["credits:write", {}],
    ["credits:write", { workspace_id }],
  ] as const) {
    const answer = await maker.post("/v1/keys", { ...whose, name: "more", scopes: ["credits:read", scope] });
    expect([answer.status, answer.body["code"], answer.body["scope"]]).toEqual([403, "forbidden", scope]);
  }
  for (const whose of [{}, { workspace_id }]) {
    expect((await maker.post("/v1/keys", { ...whose, name: "as much", scopes: ["credits:read"] })).status).toBe(201);
  }
});

test("a workspace's key spends, and cannot give itself credits", async ({ api, db }) => {
  const { id: workspace_id, credits } = await api.workspace({ bulk: 3 });
  const own = await api.withKey(["credits:read", "credits:write"], workspace_id);
  expect((await own.post(`${credits}/spend`, { amount: 1 })).status).toBe(200);
  const given = await own.post(`${credits}/grants`, { pool: "bulk", amount: 5 });
  expect([given.status, given.body["scope"]]).toEqual([403, "credits:grant"]);
  const reset = await own.put(`${credits}/pools/subscription`, { amount: 5 });
  expect([reset.status, reset.body["scope"]]).toEqual([403, "credits:grant"]);
  const key = await api.post("/v1/keys", { workspace_id, name: "more", scopes: ["credits:grant"] });
  expect([key.status, key.body["code"]]).toEqual([422, "scope_not_for_workspace"]);
  const { rows } = await db.query("select available from ledger.account where owner_id = $1", [workspace_id]);
  expect(rows).toMatchObject([{ available: "2" }]);
});

test("a name holds no control characters, which a terminal would obey", async ({ api }) => {
  const answer = await api.post("/v1/workspaces", { name: "a\u001b[2Jb" });
  expect([answer.status, answer.body["errors"]]).toMatchObject([400, [{ pointer: "/name" }]]);
});

test("B9 making and revoking a key are in the audit, once each", async ({ api }) => {
  const { id: workspace_id } = await api.workspace();
  const id = idOf(await api.post("/v1/keys", { workspace_id, name: "audited", scopes: ["credits:read"] }));
  await api.post(`/v1/keys/${id}/revoke`);
  await api.post(`/v1/keys/${id}/revoke`);
  const { data } = (await api.get(`/v1/audit?workspace_id=${workspace_id}`)).body;
  expect(data).toMatchObject([
    { action: "api_key.revoke", subject: `api_key:${id}` },
    { action: "api_key.create", subject: `api_key:${id}` },
    { action: "workspace.create" },
  ]);
});
