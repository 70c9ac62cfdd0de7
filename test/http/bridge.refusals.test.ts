import { request } from "node:http";
import { neon } from "@neondatabase/serverless";
import { expect } from "vitest";
import { ask, test } from "../support/bridge.ts";
import { urlFor } from "../world/roles.ts";

test("an isolation level that there is not is refused, not ignored", async ({ bridge, database }) => {
  const body = JSON.stringify({ queries: [{ query: "select 1" }] });
  const answer = await ask(bridge.url, database.superuserUrl, body, { "Neon-Batch-Isolation-Level": "Snapshot" });
  expect(answer).toMatchObject({ status: 400, body: { message: "invalid isolation level", code: "" } });
});

test("a response above 10 MiB is 507, a request above it 413", async ({ sql }) => {
  const mebibyte = 1024 * 1024;
  await expect(sql`select repeat('x', ${9 * mebibyte}::int) as big`).resolves.toHaveLength(1);
  await expect(sql`select repeat('x', ${11 * mebibyte}::int) as big`).rejects.toThrow(/HTTP status 507.*too large/);
  await expect(sql`select repeat('x', 1000) from generate_series(1, 11000)`).rejects.toThrow(/HTTP status 507/);
  await expect(sql`select repeat('"', ${6 * mebibyte}::int) as escaped`).rejects.toThrow(/HTTP status 507/);
  await expect(sql`select length(${"x".repeat(11 * mebibyte)})`).rejects.toThrow(/HTTP status 413.*too large/);
  await expect(sql`select 1 as one`).resolves.toEqual([{ one: 1 }]);
});

test.for([
  ["no JSON", "{"],
  ["no query", "{}"],
  ["a query that is no text", '{"query": 1}'],
  ["params that are no list", '{"query": "select 1", "params": {}}'],
  ["queries that are no list", '{"queries": {}}'],
  ["a lone surrogate", '{"query": "select $1", "params": ["\\ud800"]}'],
  ["bytes that are no UTF-8", Buffer.from([0x22, 0xff, 0x22])],
  ["an empty body", ""],
] as const)("%s in the body is a 400 that says so", async ([, body], { bridge, database }) => {
  const answer = await ask(bridge.url, database.superuserUrl, body);
  expect(answer).toMatchObject({ status: 400, body: { code: "", message: expect.stringMatching(/^could not parse/) } });
});

test("a NUL in a query or a parameter never cuts it short", async ({ sql }) => {
  await expect(sql.query("select 1 \0; nonsense")).rejects.toMatchObject({ code: "", message: /embedded null/ });
  await expect(sql.query("select $1::text", ["a\0b"])).rejects.toMatchObject({ code: "22021" });
});

test("a wrong password is refused in Neon's words, and a missing database in Postgres's", async ({ database }) => {
  const wrong = neon(urlFor(database.superuserUrl, database.name, "postgres", "wrong"));
  await expect(wrong`select 1`).rejects.toMatchObject({
    code: "",
    message: "password authentication failed for user 'postgres'",
  });
  const nobody = neon(urlFor(database.superuserUrl, database.name, "nobody_at_all", "x"));
  await expect(nobody`select 1`).rejects.toThrow("password authentication failed for user 'nobody_at_all'");
  const nowhere = neon(urlFor(database.superuserUrl, "no_such_database"));
  await expect(nowhere`select 1`).rejects.toMatchObject({ code: "3D000", severity: "FATAL" });
});

test.for([
  [undefined, "invalid header: neon-connection-string"],
  ["not a url", /^invalid connection string/],
  ["https://a:b@localhost/c", "incorrect scheme"],
  ["postgresql://a:b@localhost", "missing database name"],
  ["postgresql://localhost/c", "missing username"],
  ["postgresql://a@localhost/c", "missing authentication credentials: required password"],
] as const)("the connection string %j is refused", async ([connection, message], { bridge }) => {
  const answer = await ask(bridge.url, connection, '{"query":"select 1"}');
  expect(answer).toMatchObject({ status: 400, body: { code: "", message: expect.stringMatching(message) } });
});

test("statements and requests are counted, also over HTTP", async ({ sql, bridge }) => {
  const tools = bridge.url.replace(/sql$/, "");
  await fetch(`${tools}counters`, { method: "DELETE" });
  await sql`select 1`;
  await sql.transaction([sql`select 1`, sql`select 2`]);
  expect(await (await fetch(`${tools}counters`)).json()).toMatchObject({ requests: 2, statements: 3 });
});

test("a web page cannot ask the bridge for faults", async ({ bridge }) => {
  const faults = bridge.url.replace(/sql$/, "faults");
  const answer = await fetch(faults, {
    method: "POST",
    headers: { Origin: "https://example.com" },
    body: '{"kind":"507"}',
  });
  expect(answer.status).toBe(403);
  expect(bridge.faults.pending).toBe(0);
});

test("anything but a POST to /sql is refused", async ({ bridge }) => {
  const statuses = await Promise.all(
    [fetch(bridge.url), fetch(bridge.url.replace("/sql", "/"), { method: "POST" })].map(
      async (answer) => (await answer).status,
    ),
  );
  expect(statuses).toEqual([400, 400]);
});

test("a client that is cut off while it sends leaves nothing behind", async ({ bridge, database, sql }) => {
  await new Promise<void>((resolve) => {
    const sending = request(bridge.url, {
      method: "POST",
      headers: { "Neon-Connection-String": database.superuserUrl, "Content-Length": "1000" },
    });
    sending.once("error", () => resolve());
    sending.write('{"query": "select ', () => sending.destroy(new Error("cut")));
  });
  await expect(sql`select 1 as one`).resolves.toEqual([{ one: 1 }]);
});
