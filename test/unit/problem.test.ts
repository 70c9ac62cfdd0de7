import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { app } from "../../src/app.ts";
import { invalid, isCode, problems, problemType } from "../../src/http/problem.ts";

const key = `Bearer tg_${"a".repeat(43)}`;
const workspace = "/v1/workspaces/0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";
/** Nothing listens on port 1: whatever gets as far as the database fails there. */
const env = { DATABASE_URL: "postgres://u:p@127.0.0.1/d", DATABASE_FETCH_ENDPOINT: "http://127.0.0.1:1/sql" };

beforeEach(() => {
  vi.spyOn(console, "log").mockReturnValue(undefined);
  vi.spyOn(console, "error").mockReturnValue(undefined);
});
afterEach(() => vi.restoreAllMocks());

/** Sends a request, and holds its answer against RFC 9457 and our own form. */
async function problem(path: string, init: RequestInit = {}, bindings: object = env) {
  const response = await app.request(path, init, bindings);
  expect(response.headers.get("Content-Type")).toBe("application/problem+json");
  expect(response.headers.get("Cache-Control")).toBe("no-store");
  const body: unknown = await response.json();
  if (typeof body !== "object" || body === null || !("code" in body) || typeof body.code !== "string") {
    throw new Error(`no code in ${JSON.stringify(body)}`);
  }
  if (!isCode(body.code)) throw new Error(`the table lacks ${body.code}`);
  const { status, title } = problems[body.code];
  expect(body).toMatchObject({ type: problemType(body.code), title, status });
  expect(body).toHaveProperty("request_id", response.headers.get("Request-Id"));
  expect(response.status).toBe(status);
  return { ...body, headers: response.headers };
}

const authorized = { Authorization: key, "Content-Type": "application/json" };
const spend = (body: string, headers: Record<string, string> = {}) =>
  problem(`${workspace}/credits/spend`, {
    method: "POST",
    body,
    headers: { ...authorized, "Idempotency-Key": "a", ...headers },
  });

const batch = (items: unknown[]) =>
  problem(`${workspace}/credits/spend/batch`, {
    method: "POST",
    body: JSON.stringify({ items }),
    headers: { ...authorized, "Idempotency-Key": "a" },
  });

describe("B13 every error has one form", () => {
  test("no such route", async () => {
    for (const path of [
      "/",
      "/v1",
      "/v2/workspaces",
      `${workspace}/`,
      "/docs/../etc/passwd",
      "/docs/swagger-ui.js.map",
    ]) {
      expect(await problem(path)).toMatchObject({ code: "route_not_found" });
    }
  });

  test("another method, with Allow", async () => {
    const answer = await problem(`${workspace}/credits/spend`, { method: "PATCH" });
    expect(answer).toMatchObject({ code: "method_not_allowed" });
    expect(answer.headers.get("Allow")).toBe("POST");
    const listed = await problem("/v1/keys", { method: "DELETE" });
    expect(listed.headers.get("Allow")).toBe("GET, HEAD, POST");
    expect(await problem("/health", { method: "OPTIONS" })).toMatchObject({ code: "method_not_allowed" });
  });

  test("no key: 401 with its challenge, before the body is read", async () => {
    let read = false;
    const body = new ReadableStream(
      {
        pull(controller) {
          read = true;
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const init = { method: "POST", body, duplex: "half", headers: { "Content-Type": "text/plain" } } as const;
    const answer = await problem(`${workspace}/credits/spend`, init);
    expect(answer).toMatchObject({ code: "unauthenticated", errors: [{ in: "header", name: "Authorization" }] });
    expect(answer.headers.get("WWW-Authenticate")).toBe('Bearer realm="tollgate"');
    expect(read).toBe(false);
  });

  test("malformed JSON, another type, a body too large", async () => {
    expect(await spend('{"amount":')).toMatchObject({ code: "malformed_json" });
    expect(await spend("amount=1", { "Content-Type": "application/x-www-form-urlencoded" })).toMatchObject({
      code: "unsupported_media_type",
    });
    expect(await spend(`{"amount":${"1".repeat(3_000_000)}}`)).toMatchObject({ code: "body_too_large" });
    expect(await spend("[".repeat(100_000))).toMatchObject({ code: "validation_failed" });
  });

  test("a member that does not fit, each by its pointer", async () => {
    expect(await spend('{"amount":"5","reason":7,"extra":1}')).toMatchObject({
      code: "validation_failed",
      errors: [
        { in: "body", pointer: "/amount", code: "invalid_type" },
        { in: "body", pointer: "/reason", code: "invalid_type" },
        { in: "body", pointer: "/extra", code: "unknown_member" },
      ],
    });
    expect(await spend("")).toMatchObject({ errors: [{ in: "body", pointer: "/amount", code: "required" }] });
    expect(await spend("[1]")).toMatchObject({ errors: [{ in: "body", pointer: "", code: "invalid_type" }] });
  });

  test("an item of a batch, by its place", async () => {
    const items = [
      { key: "a", amount: 1 },
      { key: "tg:x", amount: 0 },
      { key: "a", amount: 1 },
    ];
    expect(await batch(items)).toMatchObject({
      errors: [{ pointer: "/items/1/key" }, { pointer: "/items/1/amount" }, { pointer: "/items/2/key" }],
    });
    expect(await batch([])).toMatchObject({ errors: [{ pointer: "/items" }] });
    const many = Array.from({ length: 1001 }, (_, i) => ({ key: `k${i}`, amount: 1 }));
    expect(await batch(many)).toMatchObject({ errors: [{ pointer: "/items" }] });
  });

  test("a path or query parameter, by its name", async () => {
    const id = "0197A3B4-5C6D-7E8F-9A0B-1C2D3E4F5A6B";
    for (const other of [id, `{${id.toLowerCase()}}`, "%00", "%ff", "x", `${id.toLowerCase()}%20`]) {
      expect(await problem(`/v1/workspaces/${other}`, { headers: authorized })).toMatchObject({
        code: "validation_failed",
        errors: [{ in: "path", name: "workspace" }],
      });
    }
    expect(await problem("/v1/keys?limit=0", { headers: authorized })).toMatchObject({
      errors: [{ in: "query", name: "limit" }],
    });
    expect(await problem("/v1/keys?limit=1&limit=2", { headers: authorized })).toMatchObject({
      errors: [{ in: "query", name: "limit" }],
    });
    expect(await problem("/v1/keys?limmit=1", { headers: authorized })).toMatchObject({
      errors: [{ in: "query", name: "limmit", code: "unknown_member" }],
    });
  });

  test("a key that is needed and missing", async () => {
    const answer = await problem(`${workspace}/credits/spend`, { method: "POST", body: "{}", headers: authorized });
    expect(answer).toMatchObject({ code: "idempotency_key_required", errors: [{ name: "Idempotency-Key" }] });
  });

  test("a database that is not there: 503, after repeats, and nothing of it in the answer", async () => {
    const answer = await spend('{"amount":1}');
    expect(answer).toMatchObject({ code: "outcome_unknown" });
    expect(answer.headers.get("Retry-After")).toMatch(/^\d+$/);
    expect(await problem("/ready")).toMatchObject({ code: "database_unavailable" });
    expect(JSON.stringify(answer)).not.toContain("127.0.0.1");
  });

  test("a deployment without its bindings: 500 that names none", async () => {
    const answer = await problem(workspace, { headers: authorized }, {});
    expect(answer).toMatchObject({ code: "misconfigured" });
    expect(JSON.stringify(answer)).not.toContain("DATABASE");
    expect(await (await app.request("/health", {}, {})).json()).toEqual({ status: "alive" });
  });
});

test("a long member name is not echoed whole, and no more than 20 faults are listed", async () => {
  const members = Array.from({ length: 50 }, (_, i) => [`${i}${"n".repeat(10_000)}`, 1]);
  const answer = await spend(JSON.stringify({ amount: 1, ...Object.fromEntries(members) }));
  expect(answer).toHaveProperty("errors.length", 20);
  expect(JSON.stringify(answer).length).toBeLessThan(6_000);
  expect(invalid([]).members).toEqual({ errors: [] });
});
