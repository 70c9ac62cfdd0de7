import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { Api, type Answer } from "../support/api.ts";
import { footprint } from "../support/footprint.ts";
import { operations, type Operation } from "../support/operations.ts";
import { test as inWorld } from "../support/world.ts";
import { bodyWith, placesOf, unfit } from "./values.ts";

const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  .extend("routes", { scope: "file" }, async ({ world }) => {
    const all = await operations(world.url);
    return all.filter(({ body }) => body !== null);
  })
  .extend("workspace", { scope: "file" }, ({ world }) =>
    new Api(world.url, world.operatorKey).workspace({ bulk: 100 }),
  );

/** There are thousands of calls, and each waits more than it works. */
const atOnce = 10;
const manyCalls = { timeout: 300_000 };

/** The route's path in a workspace that is there, for things that are not. */
function pathOf({ path }: Operation, workspace: string): string {
  return path.replace("{workspace}", workspace).replaceAll(/\{\w+\}/g, randomUUID());
}

/** Refused as a problem that names a place at or above `pointer`. */
function expectNamed(answer: Answer, pointer: string, about: string): void {
  const said = `${about}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 500)}`;
  expect(answer.status, said).toBe(400);
  expect(answer.headers.get("Content-Type"), said).toBe("application/problem+json");
  expect(["validation_failed", "malformed_json"], said).toContain(answer.body["code"]);
  const errors: { in: string; pointer: string; detail: string }[] = JSON.parse(JSON.stringify(answer.body["errors"]));
  expect(errors.length, said).toBeGreaterThan(0);
  const [first] = errors;
  expect(first?.in, said).toBe("body");
  const named = first?.pointer ?? "nothing";
  expect(named.startsWith(pointer) || pointer.startsWith(named), said).toBe(true);
  expect(JSON.stringify(answer.body).length, "an answer never repeats what was sent").toBeLessThan(10_000);
}

test(
  "every value that does not fit, in every member of every body, is refused by its place and writes nothing",
  manyCalls,
  async ({ api, db, routes, workspace }) => {
    expect(routes.length).toBeGreaterThan(11);
    const before = await footprint(db);
    let sent = 0;
    for (const route of routes) {
      const path = pathOf(route, workspace.id);
      const places = placesOf(route.body ?? {});
      const calls = places.flatMap(({ pointer, schema }) =>
        unfit(schema)
          // A list without an item is a shorter list.
          .filter(({ json }) => json !== "" || (pointer !== "" && !/\/\d+$/.test(pointer)))
          .map((value) => ({ pointer, value })),
      );
      const send = async ({ pointer, value }: (typeof calls)[number]) => {
        const body = bodyWith(route.example, pointer, value.json);
        const answer = await api.call(route.method, path, { body, key: randomUUID() });
        expectNamed(answer, pointer, `${route.id} ${pointer} ${value.what}`);
        sent += 1;
      };
      for (let next = 0; next < calls.length; next += atOnce)
        await Promise.all(calls.slice(next, next + atOnce).map(send));
    }
    expect(sent).toBeGreaterThan(1000);
    expect(await footprint(db)).toEqual(before);
  },
);

test("members that are missing or unknown are named", async ({ api, db, routes, workspace }) => {
  const before = await footprint(db);
  for (const route of routes) {
    const path = pathOf(route, workspace.id);
    const send = (body: string) => api.call(route.method, path, { body, key: randomUUID() });
    const example: Record<string, unknown> = { ...Object(route.example) };
    for (const name of route.body?.required ?? []) {
      const { [name]: _, ...rest } = example;
      const answer = await send(JSON.stringify(rest));
      expect([route.id, answer.status, answer.body["errors"]]).toEqual([
        route.id,
        400,
        [{ in: "body", pointer: `/${name}`, code: "required", detail: "is required" }],
      ]);
    }
    for (const [name, pointer] of [
      ["extra", "/extra"],
      ["constructor", "/constructor"],
      ["__proto__", ""],
      ["toString", "/toString"],
      ["a/b~", "/a~1b~0"],
      ["x".repeat(5000), `/${"x".repeat(63)}…`],
    ] as const) {
      const body = `{${JSON.stringify(name)}:1${JSON.stringify(example)
        .slice(1)
        .replace(/^(?=[^}])/, ",")}`;
      const answer = await send(body);
      expect([route.id, answer.status, answer.body["errors"]]).toMatchObject([
        route.id,
        400,
        [{ in: "body", pointer }],
      ]);
    }
  }
  expect(await footprint(db)).toEqual(before);
});

const said = async (answer: Promise<Answer>) => [(await answer).status, (await answer).body["code"]];

test("a body that is absent, too large, of another type or no text is refused", async ({
  api,
  db,
  routes,
  workspace,
}) => {
  const before = await footprint(db);
  for (const route of routes) {
    const path = pathOf(route, workspace.id);
    const send = (body: string | Uint8Array | undefined, headers: Record<string, string> = {}) =>
      api.call(route.method, path, { body, key: randomUUID(), headers });
    if (route.body?.required !== undefined) {
      expect([route.id, ...(await said(send(undefined)))]).toEqual([route.id, 400, "validation_failed"]);
      expect([route.id, ...(await said(send("")))]).toEqual([route.id, 400, "validation_failed"]);
    }
    const large = `{"reason":"${"x".repeat(3_000_000)}"}`;
    expect([route.id, ...(await said(send(large)))]).toEqual([route.id, 413, "body_too_large"]);
    for (const type of ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json5"]) {
      expect([route.id, ...(await said(send("{}", { "Content-Type": type })))]).toEqual([
        route.id,
        415,
        "unsupported_media_type",
      ]);
    }
    for (const bytes of [
      Uint8Array.of(0xff),
      Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
      Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d),
    ]) {
      expect([route.id, ...(await said(send(bytes)))]).toEqual([route.id, 400, "malformed_json"]);
    }
  }
  expect(await footprint(db)).toEqual(before);
});

test("times that RFC 3339 has and Postgres has not are refused by their place", async ({ api, db, workspace }) => {
  const before = await footprint(db);
  const nines = "9".repeat(200);
  for (const expires_at of [
    "2090-01-01T00:00:00+16:00",
    "2090-01-01T00:00:00-23:59",
    "2090-01-01T00:00:00.1234567891Z",
    `2090-01-01T00:00:00.${nines}Z`,
    `2090-01-01T00:00:00.${nines}+00:00`,
  ]) {
    for (const answer of [
      await api.post(`${workspace.credits}/grants`, { pool: "promo", amount: 1, expires_at }),
      await api.put(`${workspace.credits}/pools/subscription`, { amount: 1, expires_at }),
    ]) {
      expect([expires_at, answer.status, answer.body["errors"]]).toMatchObject([
        expires_at,
        400,
        [{ in: "body", pointer: "/expires_at" }],
      ]);
    }
  }
  expect(await footprint(db)).toEqual(before);
  for (const expires_at of ["2090-01-01T00:00:00+15:59", "2090-01-01T00:00:00.123456789-12:00"]) {
    const granted = await api.post(`${workspace.credits}/grants`, { pool: "promo", amount: 1, expires_at });
    expect([expires_at, granted.status]).toEqual([expires_at, 201]);
  }
});
