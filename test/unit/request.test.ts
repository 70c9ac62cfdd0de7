import { afterEach, expect, test, vi } from "vitest";
import { app } from "../../src/app.ts";
import { describe as describeError, newRequestId } from "../../src/http/request.ts";

afterEach(() => vi.restoreAllMocks());

test("request ids are UUIDv7: canonical, different, and in the order of time", () => {
  vi.spyOn(Date, "now").mockReturnValueOnce(0x0197_a3b4_5c6d).mockReturnValueOnce(0x0197_a3b4_5c6e);
  const [first, second] = [newRequestId(), newRequestId()];
  expect(first).toMatch(/^0197a3b4-5c6d-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(first < second).toBe(true);
  expect(new Set(Array.from({ length: 1000 }, newRequestId)).size).toBe(1000);
});

test("one log line a request, as JSON, with its route's pattern and none of its secrets", async () => {
  const secret = `tg_${"s".repeat(43)}`;
  const log = vi.spyOn(console, "log").mockReturnValue(undefined);
  const response = await app.request(
    "/v1/workspaces/0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b/credits/spend?token=hidden",
    { method: "POST", body: '{"amount":"private"}', headers: { Authorization: `Bearer ${secret}` } },
    { DATABASE_URL: "postgres://u:password@host/d" },
  );
  expect(log).toHaveBeenCalledTimes(1);
  const text = String(log.mock.calls[0]?.[0]);
  expect(JSON.parse(text)).toEqual({
    id: response.headers.get("Request-Id"),
    route: "/v1/workspaces/{workspace}/credits/spend",
    method: "POST",
    status: 400,
    ms: expect.any(Number),
    database_ms: 0,
    round_trips: 0,
    code: "validation_failed",
    replayed: false,
  });
  for (const hidden of [secret, "hidden", "private", "password"]) expect(text).not.toContain(hidden);
});

test("a failure is logged as an error with its causes, without connection strings and keys", async () => {
  const error = vi.spyOn(console, "error").mockReturnValue(undefined);
  await app.request(
    "/ready",
    {},
    {
      DATABASE_URL: "postgres://u:password@host/d",
      DATABASE_FETCH_ENDPOINT: "http://127.0.0.1:1/sql",
    },
  );
  expect(error).toHaveBeenCalledTimes(1);
  const line: unknown = JSON.parse(String(error.mock.calls[0]?.[0]));
  expect(line).toMatchObject({ route: "/ready", status: 503, code: "database_unavailable" });
  expect(line).toHaveProperty("error", expect.stringContaining("caused by"));
  expect(JSON.stringify(line)).not.toContain("password");

  const cause = new Error(`postgres://u:password@host/d?x and tg_${"s".repeat(43)}`);
  const text = describeError(new Error("outer", { cause }));
  expect(text).toContain("outer");
  expect(text).toContain("postgres://… and tg_…");
  expect(text).not.toContain("password");
  const keys = ["sk_test_51Abc", "rk_live_51Abc", "whsec_abc/+=", "sk_live_51***cdef"];
  for (const key of keys) expect(describeError(new Error(`Invalid API Key: ${key} given`))).not.toMatch(/51|abc|cdef/);
  expect(describeError("thrown as text")).toBe('"thrown as text"');
});
