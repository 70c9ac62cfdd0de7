import { request } from "node:http";
import { describe, expect } from "vitest";
import { isCode, problems } from "../../src/http/problem.ts";
import { Api, type Answer } from "../support/api.ts";
import { until } from "../support/barrier.ts";
import { test as inWorld } from "../support/world.ts";

const test = inWorld.extend("api", ({ world }) => new Api(world.url, world.operatorKey));

/** Holds an answer against RFC 9457 and our own form of it. */
function expectProblem(answer: Answer, code: string): void {
  if (!isCode(code)) throw new Error(`the table lacks ${code}`);
  const { status, title } = problems[code];
  expect(answer.body).toMatchObject({ type: `urn:tollgate:problem:${code}`, title, status, code });
  expect(answer.status).toBe(status);
  expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
  expect(answer.headers.get("Request-Id")).toBe(answer.body["request_id"]);
  expect(answer.headers.get("Cache-Control")).toBe("no-store");
}

describe("B13 every error has one form, in workerd too", () => {
  test("routes and methods that are not there", async ({ api }) => {
    for (const path of ["/", "/v1", "/v1/workspaces/", "/favicon.ico", "/docs/index.html", "/swagger-ui.css"]) {
      expectProblem(await api.get(path), "route_not_found");
    }
    for (const [method, path, allow] of [
      ["DELETE", "/v1/keys", "GET, HEAD, POST"],
      ["PUT", "/docs", "GET, HEAD"],
      ["OPTIONS", "/v1/workspaces", "GET, HEAD, POST"],
      ["POST", "/openapi.json", "GET, HEAD"],
    ] as const) {
      const answer = await api.call(method, path);
      expectProblem(answer, "method_not_allowed");
      expect(answer.headers.get("Allow")).toBe(allow);
    }
  });

  test("keys that are missing, malformed or unknown", async ({ api }) => {
    for (const key of ["", "nonsense", `tg_${"a".repeat(42)}`, `tg_${"a".repeat(43)}`]) {
      const answer = await api.as(key).get("/v1/workspaces");
      expectProblem(answer, "unauthenticated");
      expect(answer.headers.get("WWW-Authenticate")).toBe('Bearer realm="tollgate"');
    }
  });

  test("bodies that are not JSON, of another type, too large", async ({ api }) => {
    const { credits } = await api.workspace();
    const spend = (body: string | Uint8Array, headers: Record<string, string> = {}) =>
      api.call("POST", `${credits}/spend`, { body, key: "k", headers });
    expectProblem(await spend('{"amount":1'), "malformed_json");
    expectProblem(await spend(Uint8Array.of(0xff, 0xfe)), "malformed_json");
    expectProblem(await spend("amount=1", { "Content-Type": "text/plain" }), "unsupported_media_type");
    expectProblem(await spend(`{"amount":1,"reason":"${"x".repeat(3_000_000)}"}`), "body_too_large");
    expectProblem(await spend(new Uint8Array(1_000_001).fill(0x20)), "body_too_large");
  });

  test("a body without a length is counted while it comes", async ({ api }) => {
    const { credits } = await api.workspace();
    const status = await new Promise((resolve, reject) => {
      const sent = request(`${api.url}${credits}/spend`, {
        method: "POST",
        headers: {
          Authorization: `Bearer ${api.apiKey}`,
          "Content-Type": "application/json",
          "Idempotency-Key": "k",
          "Transfer-Encoding": "chunked",
        },
      });
      sent.on("response", (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      // After the answer this changes nothing: the Worker may hang up on the rest of what it refuses.
      sent.on("error", reject);
      for (let i = 0; i < 30; i += 1) sent.write(" ".repeat(100_000));
      sent.end("{}");
    });
    expect(status).toBe(413);
  });

  test("what a routine refuses carries its members", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: 1 });
    const answer = await api.post(`${credits}/spend`, { amount: 2 });
    expectProblem(answer, "insufficient_credits");
    expect(answer.body).toMatchObject({ available: 1 });
  });

  test("a database that cannot be reached", async ({ api, bridge }) => {
    const { credits } = await api.workspace({ bulk: 1 });
    bridge.faults.next({ kind: "drop", when: "before", times: 3 });
    const read = await api.get(credits);
    expectProblem(read, "database_unavailable");
    expect(read.headers.get("Retry-After")).toMatch(/^\d+$/);
    bridge.faults.next({ kind: "drop", when: "before", times: 3 });
    expectProblem(await api.post(`${credits}/spend`, { amount: 1 }), "outcome_unknown");
    bridge.faults.next({ kind: "40001", times: 4 });
    expectProblem(await api.post(`${credits}/spend`, { amount: 1 }), "database_busy");
  });

  test("a duplicate that waited in vain for the first is not told that nothing was done", async ({ api, db }) => {
    const { id, credits } = await api.workspace({ bulk: 1 });
    // As the first call holds it while it runs.
    const first = await db.connect();
    await first.query("begin");
    await first.query("select pg_advisory_xact_lock(hashtextextended(concat($1::uuid, 'slow'), 0))", [id]);
    try {
      expectProblem(await api.post(`${credits}/spend`, { amount: 1 }, "slow"), "outcome_unknown");
    } finally {
      await first.query("rollback");
      first.release();
    }
    expect((await api.post(`${credits}/spend`, { amount: 1 }, "slow")).status).toBe(200);
  });
});

test("D21 a failure is logged once with its context, and a refusal is no failure", async ({ api, world, bridge }) => {
  const { credits } = await api.workspace({ bulk: 1 });
  const refused = await api.post(`${credits}/spend`, { amount: 2 });
  bridge.faults.next({ kind: "drop", when: "before", times: 3 });
  const failed = await api.get(credits);
  const ours = new Set([refused, failed].map(({ body }) => body["request_id"]));
  // A line comes by a way of its own: it may be there after the answer, and an earlier answer's too.
  const logged = () =>
    world.worker.logs.map(({ level, message }) => ({ level, ...JSON.parse(message) })).filter(({ id }) => ours.has(id));
  await until("both are logged", async () => logged().length > 1);
  const lines = logged();
  expect(lines).toEqual([
    {
      level: "log",
      id: refused.body["request_id"],
      route: "/v1/workspaces/{workspace}/credits/spend",
      method: "POST",
      status: 402,
      ms: expect.any(Number),
      database_ms: expect.any(Number),
      round_trips: 1,
      code: "insufficient_credits",
      replayed: false,
    },
    {
      level: "error",
      id: failed.body["request_id"],
      route: "/v1/workspaces/{workspace}/credits",
      method: "GET",
      status: 503,
      ms: expect.any(Number),
      database_ms: expect.any(Number),
      round_trips: 3,
      code: "database_unavailable",
      replayed: false,
      error: expect.stringContaining("caused by"),
    },
  ]);
  const text = JSON.stringify(lines);
  for (const secret of [api.apiKey, "password", "postgres://u"]) expect(text).not.toContain(secret);
});
