import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { expect } from "vitest";
import { Api, idOf, type Answer, type Call } from "../support/api.ts";
import { footprint } from "../support/footprint.ts";
import { needed, operations, type Operation } from "../support/operations.ts";
import { test as inWorld } from "../support/world.ts";

const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  .extend("routes", { scope: "file" }, async ({ world }) => {
    const all = await operations(world.url);
    return all.filter(({ scope }) => scope !== null);
  })
  .extend("workspace", { scope: "file" }, ({ world }) =>
    new Api(world.url, world.operatorKey).workspace({ bulk: 100 }),
  );

const id = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";

/** What a path may hold where a UUID belongs. */
const hostileIds = [
  id.toUpperCase(),
  `{${id}}`,
  id.replaceAll("-", ""),
  `urn:uuid:${id}`,
  `${id}%20`,
  `%20${id}`,
  `${id}%00`,
  "%00",
  "%ff",
  "%ed%a0%80",
  "%F0%9F%98%80",
  "..%2f..%2fkeys",
  "1",
  "null",
  "undefined",
  "'%20or%20true--",
  "x".repeat(5000),
];

/** Ids that others gave, and that are no UUIDs. */
const foreignIds: Readonly<Record<string, RegExp>> = {
  event: /^[A-Za-z0-9_-]{1,255}$/,
  sweep: /^[\w-]{1,63}$/,
  code: /^[A-Za-z0-9][A-Za-z0-9_-]{1,49}$/,
  channel: /^[a-z0-9][a-z0-9_.-]{0,63}$/,
};

function sendable({ method, example }: Operation): Call {
  return method === "GET" ? {} : { body: example ?? {}, key: randomUUID() };
}

function expectFault(answer: Answer, fault: object, about: string): void {
  const said = `${about}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`;
  expect(answer.status, said).toBe(400);
  expect(answer.headers.get("Content-Type"), said).toBe("application/problem+json");
  expect(answer.body["errors"], said).toMatchObject([fault]);
  expect(JSON.stringify(answer.body).length, said).toBeLessThan(2_000);
}

test("an id that is not a canonical UUID is refused by its parameter's name, and writes nothing", async ({
  api,
  db,
  routes,
}) => {
  const before = await footprint(db);
  const withParams = routes.filter(({ params }) => params.length > 0);
  expect(withParams.length).toBeGreaterThan(12);
  for (const route of withParams) {
    for (const name of route.params) {
      for (const hostile of hostileIds.filter((value) => foreignIds[name]?.test(value) !== true)) {
        const path = `${route.path.replace(`{${name}}`, hostile).replaceAll(/\{\w+\}/g, id)}?${needed(route)}`;
        expectFault(await api.call(route.method, path, sendable(route)), { in: "path", name }, `${route.id} ${path}`);
      }
    }
  }
  expect(await footprint(db)).toEqual(before);
});

const said = ({ status, body: { code } }: Answer) => `${status} ${String(code)}`;

test("another workspace's ids and ids of nothing are the same 404, and write nothing", async ({
  api,
  db,
  routes,
  workspace,
}) => {
  const other = await api.workspace({ bulk: 10 });
  const hold = idOf(await api.post(`${other.credits}/holds`, { amount: 1, expires_in: 60 }));
  const spent = await api.post(`${other.credits}/spend`, { amount: 1 });
  const theirs: Record<string, string> = { hold, transaction: String(spent.body["transaction_id"]), key: randomUUID() };
  const client = await api.withKey(["credits:read", "credits:write", "workspaces:read"], workspace.id);
  const before = await footprint(db);
  for (const route of routes.filter(({ params }) => params.length > 0)) {
    const filled = (ids: Record<string, string>) =>
      `${route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? randomUUID())}?${needed(route)}`;
    const nowhere = await api.call(route.method, filled({}), sendable(route));
    // Whether there is such an access key is what getAccess is not to tell.
    if (route.id === "getAccess") expect([nowhere.status, nowhere.body["valid"]]).toEqual([200, false]);
    else expect([route.id, said(nowhere)]).toEqual([route.id, "404 not_found"]);
    if (route.params.length > 1) {
      const path = filled({ ...theirs, workspace: workspace.id });
      expect([route.id, said(await api.call(route.method, path, sendable(route)))]).toEqual([
        route.id,
        "404 not_found",
      ]);
    }
    if (route.params[0] === "workspace" && route.scope !== "ledger:adjust") {
      const path = filled({ ...theirs, workspace: other.id });
      const foreign = await client.call(route.method, path, sendable(route));
      expect([route.id, said(foreign)]).toEqual([route.id, "404 not_found"]);
    }
  }
  expect(await footprint(db)).toEqual(before);
});

test("query parameters that do not fit, are repeated or unknown are named", async ({ api, routes, workspace }) => {
  const hostile: Record<string, string[]> = {
    "listMessages kind": ["", "%00", "K", "a b", "x".repeat(100), "..", "a&kind=a"],
    channel: ["", "%00", "E-Mail", "a b", "x".repeat(100), "email&channel=email"],
    language: ["", "%00", "DE", "de_AT", "de-at", "x".repeat(100), "en&language=en"],
    limit: [
      "0",
      "-1",
      "101",
      "1.5",
      "1e1",
      "9007199254740993",
      "",
      "x",
      "%00",
      "0x10",
      "%D9%A3",
      "1&limit=2",
      "01",
      "+1",
    ],
    cursor: [
      "",
      "x",
      id,
      "%00",
      "A".repeat(22).replace(/A$/, "B"),
      "A".repeat(23),
      "%F0%9F%98%80",
      "x".repeat(5000),
      "a&cursor=b",
    ],
    state: ["", "HELD", "held%00", "x", "open,closed", "open&state=closed"],
    code: ["", "Pro", "pro%00", "1pro", "pro plan", "%C3%A9", "p".repeat(51), "a&code=b"],
    unit: ["", "eur", "xyz", "Credit", "credit%00", "1", "_a", "a-b", "a".repeat(33), "%C3%A9", "seat&unit=credit"],
    // A promo code is typed in any case, and may begin with a digit.
    "listPromoCodes code": ["", "p", "-pro", "pro%00", "pro%20code", "%C3%A9t%C3%A9", "p".repeat(51), "ab&code=cd"],
    type: ["", "credits", "Credits.low", "credits.low%00", "credits.*", "*", "credits.low&type=hold.expired"],
    kind: ["", "CREDIT_PACK", "x", "credit_pack%00", "credit_pack,retail_token", "retail_token&kind=credit_pack"],
    currency: ["", "EUR", "eu", "euro", "eur%00", "1ur", "eur&currency=usd"],
    workspace_id: hostileIds,
  };
  const gets = routes.filter(({ method }) => method === "GET");
  for (const route of gets) {
    const path = route.path.replace("{workspace}", workspace.id).replaceAll(/\{\w+\}/g, id);
    for (const { name } of route.query) {
      const values = hostile[`${route.id} ${name}`] ?? hostile[name];
      if (values === undefined) throw new Error(`no hostile values for the query parameter ${name} of ${route.id}`);
      for (const value of values) {
        const asked = `${path}?${needed(route, name)}${name}=${value}`;
        expectFault(await api.get(asked), { in: "query", name }, `${route.id} ${name}=${value}`);
      }
    }
  }
  for (const route of routes) {
    const path = route.path.replace("{workspace}", workspace.id).replaceAll(/\{\w+\}/g, id);
    for (const name of ["extra", "__proto__", "constructor", "offset"]) {
      const answer = await api.call(route.method, `${path}?${needed(route)}${name}=1`, sendable(route));
      expectFault(answer, { in: "query", name, code: "unknown_member" }, `${route.id} ${name}`);
    }
  }
});

test("an Idempotency-Key that is too long, not printable or the system's own is refused by its name", async ({
  api,
  db,
  routes,
  workspace,
}) => {
  const before = await footprint(db);
  for (const route of routes.filter(({ headers }) => headers.length > 0)) {
    const path = route.path.replace("{workspace}", workspace.id).replaceAll(/\{\w+\}/g, id);
    for (const key of ["x".repeat(256), "x".repeat(8000), "café", "a\tb", "tg:request:1", "TG:x"]) {
      const answer = await api.call(route.method, path, { body: route.example ?? {}, key });
      expectFault(answer, { in: "header", name: "Idempotency-Key" }, `${route.id} ${key}`);
      expect(answer.body["code"]).toBe("idempotency_key_invalid");
    }
  }
  expect(await footprint(db)).toEqual(before);
});

test("a header that no client library would send writes nothing", async ({ api, db, workspace }) => {
  const before = await footprint(db);
  const { hostname, port } = new URL(api.url);
  for (const key of ["a\rb", "a\r\n b", "a\0b", "\u0001", "\u007f", "🔑"]) {
    const socket = connect(Number(port), hostname);
    socket.end(
      `POST ${workspace.credits}/spend HTTP/1.1\r\nHost: tollgate\r\nConnection: close\r\n` +
        `Authorization: Bearer ${api.apiKey}\r\nContent-Type: application/json\r\nContent-Length: 12\r\n` +
        `Idempotency-Key: ${key}\r\n\r\n{"amount":1}`,
    );
    expect(await text(socket), JSON.stringify(key)).toMatch(/^HTTP\/1\.1 4\d\d /);
  }
  expect(await footprint(db)).toEqual(before);
});
