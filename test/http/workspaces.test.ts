import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { Api, idOf } from "../support/api.ts";
import { test as inWorld } from "../support/world.ts";

const test = inWorld.extend("api", ({ world }) => new Api(world.url, world.operatorKey));

test("a workspace is made, got and listed, newest first", async ({ api }) => {
  const made = await api.post("/v1/workspaces", { name: "Zoë & Söhne 😀" });
  expect(made.status).toBe(201);
  expect(made.body).toEqual({
    id: expect.any(String),
    name: "Zoë & Söhne 😀",
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/),
  });
  const open = { read_only_from: null, frozen_at: null };
  const got = await api.get(`/v1/workspaces/${idOf(made)}`);
  expect([got.status, got.body]).toEqual([200, { ...made.body, ...open }]);
  const other = await api.post("/v1/workspaces", { name: "Acme" }, null);
  const listed = await api.get("/v1/workspaces?limit=1");
  expect(listed.body).toEqual({ data: [{ ...other.body, ...open }], next_cursor: expect.any(String) });
  const next = await api.get(`/v1/workspaces?limit=1&cursor=${String(listed.body["next_cursor"])}`);
  expect(next.body["data"]).toEqual([got.body]);
});

test("every answer has its own Request-Id and stays out of caches; none invites another origin", async ({ api }) => {
  const { credits, path } = await api.workspace({ bulk: 2 });
  const answers = [
    await api.get(path),
    await api.get(credits),
    await api.post(`${credits}/spend`, { amount: 1 }, "k"),
    await api.post(`${credits}/spend`, { amount: 1 }, "k"),
    await api.post(`${credits}/spend`, { amount: 9 }),
    await api.get("/v1/nothing"),
    await api.call("HEAD", path),
    await api.call("GET", path, { headers: { Origin: "https://elsewhere.example" } }),
  ];
  for (const { headers } of answers) {
    expect(headers.get("Cache-Control")).toBe("no-store");
    expect(headers.get("Access-Control-Allow-Origin")).toBeNull();
  }
  expect(new Set(answers.map(({ headers }) => headers.get("Request-Id"))).size).toBe(answers.length);
});

test("a name is 1 to 200 characters and not blank", async ({ api }) => {
  const longest = "😀".repeat(200);
  expect((await api.post("/v1/workspaces", { name: longest })).body).toMatchObject({ name: longest });
  for (const name of ["", " ", "\n", "x".repeat(201), `${longest}x`]) {
    const answer = await api.post("/v1/workspaces", { name });
    expect([answer.status, answer.body["errors"]]).toMatchObject([400, [{ pointer: "/name" }]]);
  }
});

test("twenty calls at once with one key make one workspace", async ({ api, db }) => {
  const name = randomUUID();
  const answers = await Promise.all(Array.from({ length: 20 }, () => api.post("/v1/workspaces", { name }, name)));
  expect(new Set(answers.map(idOf)).size).toBe(1);
  expect(answers.filter(({ headers }) => headers.get("Idempotent-Replayed") === null)).toHaveLength(1);
  const rows = await db.query("select from people.workspace where name = $1", [name]);
  expect(rows.rowCount).toBe(1);
});

test("B9 making one leaves an audit row with who did it", async ({ api }) => {
  const id = idOf(await api.post("/v1/workspaces", { name: "audited" }));
  const audit = await api.get(`/v1/audit?workspace_id=${id}`);
  expect(audit.body["data"]).toMatchObject([
    { workspace_id: id, actor: expect.stringMatching(/^key:/), action: "workspace.create", subject: `workspace:${id}` },
  ]);
});

test("a workspace's key sees its own workspace; another's and a missing one are the same 404", async ({ api }) => {
  const [own, other] = [await api.workspace({ bulk: 5 }), await api.workspace({ bulk: 5 })];
  const client = await api.withKey(["credits:read", "credits:write", "workspaces:read"], own.id);
  expect((await client.get(own.path)).status).toBe(200);
  expect((await client.get(own.credits)).body).toMatchObject({ available: 5 });
  expect((await client.post(`${own.credits}/spend`, { amount: 1 })).status).toBe(200);
  const missing = `/v1/workspaces/${randomUUID()}`;
  for (const path of [other.path, missing]) {
    const answers = await Promise.all([
      client.get(path),
      client.get(`${path}/credits`),
      client.get(`${path}/credits/transactions`),
      client.get(`${path}/ledger/verify`),
      client.post(`${path}/credits/spend`, { amount: 1 }),
    ]);
    for (const { status, body } of answers) {
      const { request_id: _, ...rest } = body;
      expect([status, rest]).toEqual([404, problem("not_found", 404, "There is no such thing")]);
    }
  }
  expect((await api.get(other.credits)).body).toMatchObject({ available: 5 });
});

test("another workspace's hold and cursor give nothing away", async ({ api }) => {
  const [own, other] = [await api.workspace({ bulk: 5 }), await api.workspace({ bulk: 5 })];
  const hold = idOf(await api.post(`${other.credits}/holds`, { amount: 1, expires_in: 60 }));
  for (let i = 0; i < 2; i += 1) await api.post(`${other.credits}/spend`, { amount: 1 });
  for (const answer of await Promise.all([
    api.get(`${own.credits}/holds/${hold}`),
    api.post(`${own.credits}/holds/${hold}/settle`),
    api.post(`${own.credits}/holds/${hold}/release`),
  ])) {
    expect([answer.status, answer.body["code"]]).toEqual([404, "not_found"]);
  }
  const spent = await api.post(`${other.credits}/spend`, { amount: 1 });
  const reversed = await api.post(`${own.credits}/transactions/${String(spent.body["transaction_id"])}/reverse`, {
    reason: "not mine",
  });
  expect([reversed.status, reversed.body["code"]]).toEqual([404, "not_found"]);
  const { next_cursor } = (await api.get(`${other.credits}/transactions?limit=1`)).body;
  const answer = await api.get(`${own.credits}/transactions?limit=100&cursor=${String(next_cursor)}`);
  expect(answer.status).toBe(200);
  expect(answer.body["data"]).toEqual([expect.objectContaining({ kind: "grant", amount: 5 })]);
  expect((await api.get(`${other.credits}/holds/${hold}`)).body).toMatchObject({ state: "held" });
});

test("the operator's routes are not a workspace's", async ({ api }) => {
  const { id } = await api.workspace();
  const client = await api.withKey(["workspaces:read"], id);
  for (const answer of await Promise.all([
    client.get("/v1/workspaces"),
    client.post("/v1/workspaces", { name: "mine" }),
    client.get("/v1/keys"),
    client.post("/v1/keys", { name: "mine", scopes: ["credits:read"] }),
    client.get("/v1/audit"),
    client.get("/v1/alarms"),
    client.get("/v1/sweeps"),
  ])) {
    expect([answer.status, answer.body["code"]]).toEqual([403, "operator_key_required"]);
  }
});

const problem = (code: string, status: number, title: string) => ({
  type: `urn:tollgate:problem:${code}`,
  title,
  status,
  code,
});
