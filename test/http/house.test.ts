import { describe, expect } from "vitest";
import { registry } from "../../src/sweeps/registry.ts";
import { Api, idOf } from "../support/api.ts";
import { until } from "../support/barrier.ts";
import { test as inWorld } from "../support/world.ts";

const test = inWorld.extend("api", ({ world }) => new Api(world.url, world.operatorKey));

const count = expect.any(Number);

/** Moves the database's clock; the next test finds it as it was. */
async function atLater<Result>(
  db: { query(sql: string, values?: unknown[]): Promise<unknown> },
  later: string,
  work: () => Promise<Result>,
): Promise<Result> {
  await db.query("update ops.clock set clock_offset = $1::interval", [later]);
  try {
    return await work();
  } finally {
    await db.query("update ops.clock set clock_offset = interval '0'");
  }
}

test("the Worker lives, whatever the database does", async ({ api, bridge }) => {
  bridge.resetCounters();
  const answer = await api.as("").get("/health");
  expect([answer.status, answer.body]).toEqual([200, { status: "alive" }]);
  expect(bridge.counters.requests).toBe(0);
});

test("B10 readiness shows database connections used and allowed", async ({ api }) => {
  const answer = await api.as("").get("/ready");
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({
    status: "ready",
    latency_ms: count,
    connections: count,
    connections_allowed: count,
    oldest_transaction_seconds: count,
    sweep_lag_seconds: count,
    open_alarms: 0,
    inbox_open: 0,
    inbox_lag_seconds: 0,
    outbox_lag_seconds: 0,
  });
  expect(answer.body["connections"]).toBeGreaterThan(0);
  expect(answer.body["connections_allowed"]).toBeGreaterThan(Number(answer.body["connections"]));
});

test("readiness answers within its time when the database hangs", async ({ api, bridge }) => {
  bridge.faults.next({ kind: "hang" });
  const answer = await api.get("/ready");
  expect([answer.status, answer.body["code"]]).toEqual([503, "database_unavailable"]);
});

describe("sweeps", () => {
  test("a tick ends what has expired, records each run, and a second tick finds nothing due", async ({
    api,
    db,
    world,
  }) => {
    const { credits } = await api.workspace({ bulk: 10 });
    const hold = idOf(await api.post(`${credits}/holds`, { amount: 4, expires_in: 60 }));
    await api.post(`${credits}/grants`, { pool: "promo", amount: 5, expires_at: "2098-12-31T23:59:59Z" });
    await world.tick();
    expect((await api.get(`${credits}/holds/${hold}`)).body).toMatchObject({ state: "held" });
    await atLater(db, "2 minutes", async () => {
      await world.tick();
      expect((await api.get(`${credits}/holds/${hold}`)).body).toMatchObject({ state: "expired", settled: 0 });
      expect((await api.get(credits)).body).toMatchObject({ available: 15, held: 0 });
      const before = await db.query("select id from ops.sweep_run order by id");
      await world.tick();
      expect((await db.query("select id from ops.sweep_run order by id")).rows).toEqual(before.rows);
    });
    const { data } = (await api.get("/v1/sweeps")).body;
    expect(data).toContainEqual({
      name: "holds_expire",
      interval_seconds: 60,
      batch: 100,
      budget_seconds: 15,
      running: false,
      last_started_at: expect.any(String),
      lag_seconds: count,
      last_run: {
        id: expect.any(String),
        finished_at: expect.any(String),
        processed: 1,
        failed: 0,
        more: false,
        error: null,
      },
    });
    expect(data).toHaveLength(registry.length);
  });

  test("stored answers go after 35 days, and a late duplicate is told that its effect is done", async ({
    api,
    db,
    world,
  }) => {
    const { credits } = await api.workspace({ bulk: 5 });
    const first = await api.post(`${credits}/spend`, { amount: 2 }, "late");
    await atLater(db, "34 days", async () => {
      await world.tick();
      expect((await api.post(`${credits}/spend`, { amount: 2 }, "late")).body).toEqual(first.body);
    });
    await atLater(db, "36 days", async () => {
      await world.tick();
      const { rows } = await db.query("select from ops.request where idempotency_key = 'late'");
      expect(rows).toHaveLength(0);
      const answer = await api.post(`${credits}/spend`, { amount: 2 }, "late");
      expect([answer.status, answer.body["code"]]).toEqual([409, "idempotency_key_expired"]);
      expect(answer.body["transaction_id"]).toBe(first.body["transaction_id"]);
      expect((await api.get(credits)).body).toMatchObject({ available: 3 });
    });
  });

  test("B9 an operator runs one now, once at a time, and the audit knows who", async ({ api, db }) => {
    const { credits } = await api.workspace({ bulk: 5 });
    await api.post(`${credits}/holds`, { amount: 5, expires_in: 60 });
    await atLater(db, "2 minutes", async () => {
      const ran = await api.post("/v1/sweeps/holds_expire/run");
      expect([ran.status, ran.body]).toMatchObject([
        200,
        { name: "holds_expire", processed: 1, failed: 0, error: null },
      ]);
      expect((await api.get("/v1/audit?limit=1")).body).toMatchObject({
        data: [{ action: "sweep.run", subject: "sweep:holds_expire", detail: { run_id: ran.body["id"] } }],
      });
    });
    await db.query("update ops.sweep set leased_until = ops.now() + interval '1 minute' where name = 'lots_expire'");
    const running = await api.post("/v1/sweeps/lots_expire/run");
    expect([running.status, running.body["code"]]).toEqual([409, "sweep_running"]);
    await db.query("update ops.sweep set leased_until = null where name = 'lots_expire'");
    expect((await api.post("/v1/sweeps/no_such/run")).status).toBe(404);
    expect((await api.as("tg_nobody").post("/v1/sweeps/no_such/run")).status).toBe(401);
  });

  test("ticks at once share what is due: each sweep runs once", async ({ db, world }) => {
    await atLater(db, "40 days", async () => {
      await Promise.all([world.tick(), world.tick(), world.tick()]);
      const { rows } = await db.query(
        "select name, count(*)::int as runs from ops.sweep_run where started_at > ops.now() - interval '1 hour' group by 1",
      );
      expect(rows.map(({ runs }) => runs)).toEqual(registry.map(() => 1));
    });
  });

  test("D21 a sweep that fails opens an alarm, is logged, and a good run closes it", async ({
    api,
    db,
    world,
    bridge,
  }) => {
    await atLater(db, "41 days", async () => {
      world.worker.logs.length = 0;
      bridge.faults.next({ kind: "drop", when: "before", times: 3, match: "holds_expire(" });
      await world.tick();
      const { data } = (await api.get("/v1/alarms")).body;
      expect(data).toMatchObject([{ code: "sweep_failed", subject: "holds_expire", times: 1, closed_at: null }]);
      expect(JSON.stringify(data)).not.toContain("postgres://tollgate");
      const logged = () => world.worker.logs.filter(({ level }) => level === "error");
      await until("it is logged", async () => logged().length > 0);
      const failed = logged();
      expect(failed).toHaveLength(1);
      expect(JSON.parse(failed[0]?.message ?? "")).toMatchObject({ sweep: "holds_expire", error: expect.any(String) });
      expect((await api.get("/ready")).body).toMatchObject({ open_alarms: 1 });
    });
    await atLater(db, "42 days", async () => {
      await world.tick();
      expect((await api.get("/v1/alarms")).body).toEqual({ data: [], next_cursor: null });
      expect((await api.get("/v1/alarms?state=closed")).body["data"]).toMatchObject([{ subject: "holds_expire" }]);
    });
  });
});

test("the documentation page and its files come from the deployment itself", async ({ world }) => {
  const page = await fetch(`${world.url}/docs`);
  expect([page.status, page.headers.get("Content-Type")]).toEqual([200, expect.stringContaining("text/html")]);
  const html = await page.text();
  expect(html).not.toMatch(/https?:\/\//);
  const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file ?? "");
  expect(files).toHaveLength(3);
  for (const file of files) {
    const answer = await fetch(new URL(file, world.url));
    expect([file, answer.status]).toEqual([file, 200]);
    expect(answer.headers.get("Content-Type")).toMatch(/^text\/(css|javascript)/);
    expect((await answer.text()).length).toBeGreaterThan(20);
  }
});
