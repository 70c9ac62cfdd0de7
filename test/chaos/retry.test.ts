import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { run } from "../../src/db/run.ts";
import { Api } from "../support/api.ts";
import type { Workspace } from "../support/api.ts";
import { blockedBackends } from "../support/barrier.ts";
import { Envelope, declared, throughBridge } from "../support/envelope.ts";
import { ambiguous, busy, countExecutions, passing } from "../support/faults.ts";
import type { Shape } from "../support/faults.ts";
import { test as inWorld } from "../support/world.ts";

// The retry rule of src/db/run.ts: what is unknown is sent again until it is known, with one effect; what is known is told.

const spending = "ledger.spend(";
const spendCall = declared("ledger.spend");

const one = { unit: "credit", amount: 1, reason: null };
const named = (workspace: Workspace, key = "mine") => ({ workspace: workspace.id, key });

async function revoke(api: Api, apiKey: string): Promise<void> {
  const keys = (await api.get("/v1/keys")).body["data"];
  const found = Array.isArray(keys) ? keys.find(({ prefix }) => prefix === apiKey.slice(0, 10)) : undefined;
  expect((await api.post(`/v1/keys/${found?.id}/revoke`)).status).toBe(200);
}

const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  .extend("envelope", ({ world }) => new Envelope(world.operatorKey, throughBridge(world)))
  .extend("executions", { scope: "file" }, ({ db }) => countExecutions(db))
  /** A workspace with 10 credits; every count begins after it. */
  .extend("ten", async ({ api, bridge, executions }) => {
    const workspace = await api.workspace({ bulk: 10 });
    await executions.reset();
    bridge.resetCounters();
    return workspace;
  });

const titled = (shapes: readonly Shape[]) =>
  shapes.map((shape) => ({ ...shape, title: `${shape.fault.kind} ${shape.done ? "after the commit" : "before"}` }));

describe("one send goes wrong", () => {
  test.for(titled([...ambiguous, ...passing]))(
    "A11 $title: sent again, done once, and the client hears nothing of it",
    async ({ fault, done }, { api, ten, bridge, executions }) => {
      bridge.faults.next({ ...fault, match: spending });
      const answer = await api.post(`${ten.credits}/spend`, { amount: 3 });
      expect([answer.status, answer.body]).toMatchObject([200, { amount: 3, available: 7 }]);
      // The answer was the first to this request, whichever send brought it.
      expect(answer.headers.get("Idempotent-Replayed")).toBeNull();
      expect(bridge.counters).toMatchObject({ requests: 2, faults: 1, statements: done ? 2 : 1 });
      expect(await executions.count()).toBe(1);
      expect((await api.get(ten.credits)).body).toMatchObject({ available: 7 });
    },
  );

  test.for(titled(ambiguous))("$title: a read is sent again", async ({ fault }, { api, ten, bridge }) => {
    bridge.faults.next(fault);
    expect(await api.get(ten.credits)).toMatchObject({ status: 200, body: { available: 10 } });
    expect(bridge.counters.requests).toBe(2);
  });

  test("different ones, one after another, are borne", async ({ api, ten, bridge, executions }) => {
    for (const kind of ["40001", "drop", "55P03", "truncated", "40P01"] as const) {
      bridge.faults.next({ kind, match: spending });
    }
    expect(await api.post(`${ten.credits}/spend`, { amount: 1 })).toMatchObject({
      status: 200,
      body: { available: 9 },
    });
    expect(bridge.counters.requests).toBe(6);
    expect(await executions.count()).toBe(1);
  });
});

describe("without an Idempotency-Key, the request's id is the key", () => {
  test.for(titled(ambiguous))("$title: one workspace is made", async ({ fault }, { api, bridge, db }) => {
    const name = `made once ${randomUUID()}`;
    bridge.faults.next({ ...fault, match: "people.create_workspace(" });
    const answer = await api.post("/v1/workspaces", { name }, null);
    expect([answer.status, answer.headers.get("Idempotent-Replayed")]).toEqual([201, null]);
    const found = await db.query("select id from people.workspace where name = $1", [name]);
    expect(found.rows).toEqual([{ id: answer.body["id"] }]);
  });
});

describe("it never heals", () => {
  test.for(titled(ambiguous))(
    "$title: outcome_unknown, and the client's retry with its key gets the one effect",
    async ({ fault, done }, { api, ten, bridge, executions }) => {
      const stuck = bridge.faults.next({ ...fault, match: spending, times: 99 });
      const answer = await api.post(`${ten.credits}/spend`, { amount: 3 }, "mine");
      expect(answer.headers.get("Retry-After")).toBe("1");
      expect(answer.body).toMatchObject({ status: 503, code: "outcome_unknown", retry_after: 1 });
      expect(bridge.counters.requests).toBe(3);
      stuck.cancel();
      expect((await api.get(ten.credits)).body).toMatchObject({ available: done ? 7 : 10 });
      const retry = await api.post(`${ten.credits}/spend`, { amount: 3 }, "mine");
      expect([retry.status, retry.body]).toMatchObject([200, { amount: 3, available: 7 }]);
      expect(retry.headers.get("Idempotent-Replayed")).toBe(done ? "true" : null);
      expect(await executions.count()).toBe(1);
    },
  );

  test.for(titled(passing))(
    "$title: database_busy after four sends, nothing done",
    async ({ fault }, { api, ten, bridge, executions }) => {
      const stuck = bridge.faults.next({ ...fault, match: spending, times: 99 });
      const answer = await api.post(`${ten.credits}/spend`, { amount: 3 }, "mine");
      expect(answer.headers.get("Retry-After")).toBe("1");
      expect(answer.body).toMatchObject({ status: 503, code: "database_busy" });
      expect(bridge.counters.requests).toBe(4);
      expect(await executions.count()).toBe(0);
      stuck.cancel();
      expect(await api.post(`${ten.credits}/spend`, { amount: 3 }, "mine")).toMatchObject({ status: 200 });
    },
  );

  test.for(titled(ambiguous))("$title: a read says database_unavailable", async ({ fault }, { api, ten, bridge }) => {
    bridge.faults.next({ ...fault, times: 99 });
    const answer = await api.get(ten.credits);
    expect(answer.headers.get("Retry-After")).toBe("1");
    expect(answer.body).toMatchObject({ status: 503, code: "database_unavailable" });
    expect(bridge.counters.requests).toBe(3);
  });
});

describe("what is known is told at once", () => {
  test("a refusal is not sent again", async ({ api, ten, bridge, executions }) => {
    expect(await api.post(`${ten.credits}/spend`, { amount: 11 })).toMatchObject({ status: 402 });
    expect(await api.post(`${ten.credits}/holds/${randomUUID()}/release`)).toMatchObject({ status: 404 });
    expect(await api.as(`tg_${"x".repeat(43)}`).get(ten.credits)).toMatchObject({ status: 401 });
    expect(bridge.counters.requests).toBe(3);
    expect(await executions.count()).toBe(0);
  });

  test.for(titled(busy))(
    "$title: database_busy after one send",
    async ({ fault }, { api, ten, bridge, executions }) => {
      bridge.faults.next({ ...fault, match: spending });
      const answer = await api.post(`${ten.credits}/spend`, { amount: 1 });
      expect(answer.body).toMatchObject({ status: 503, code: "database_busy" });
      expect(bridge.counters.requests).toBe(1);
      expect(await executions.count()).toBe(0);
    },
  );

  test("a refusal under a first send that was not done is the answer", async ({ api, ten, bridge }) => {
    bridge.faults.next({ kind: "drop", when: "before", match: spending });
    const answer = await api.post(`${ten.credits}/spend`, { amount: 11 });
    expect(answer.body).toMatchObject({ status: 402, code: "insufficient_credits", available: 10 });
    expect(bridge.counters.requests).toBe(2);
  });
});

describe("what is said of a repeat is not yet true of the first send", () => {
  test.for(titled(busy))(
    "A11 done, its answer lost, then $title: outcome_unknown and not `nothing was done`",
    async ({ fault }, { api, ten, bridge, executions }) => {
      bridge.faults.next({ kind: "drop", when: "after", match: spending });
      bridge.faults.next({ ...fault, match: spending });
      const answer = await api.post(`${ten.credits}/spend`, { amount: 1 }, "mine");
      expect(answer.body).toMatchObject({ status: 503, code: "outcome_unknown" });
      const retry = await api.post(`${ten.credits}/spend`, { amount: 1 }, "mine");
      expect([retry.status, retry.headers.get("Idempotent-Replayed")]).toEqual([200, "true"]);
      expect(await executions.count()).toBe(1);
    },
  );

  test("A11 done, its answer lost, then only lock timeouts: outcome_unknown", async ({ api, ten, bridge }) => {
    bridge.faults.next({ kind: "drop", when: "after", match: spending });
    bridge.faults.next({ kind: "55P03", match: spending, times: 4 });
    const answer = await api.post(`${ten.credits}/spend`, { amount: 1 });
    expect(answer.body).toMatchObject({ status: 503, code: "outcome_unknown" });
    expect(bridge.counters.requests).toBe(5);
  });

  test("A11 done, its answer lost, then the API key was revoked: outcome_unknown, not unauthenticated", async ({
    world,
    api,
    ten,
    bridge,
    executions,
  }) => {
    const { apiKey } = await api.withKey(["credits:write"], ten.id);
    bridge.faults.next({ kind: "hang", when: "after", match: spending });
    const writing = new Envelope(apiKey, throughBridge(world)).write(spendCall, one, {
      ...named(ten),
      timeout_ms: 8_000,
    });
    const outcome = expect(writing).rejects.toMatchObject({ code: "outcome_unknown" });
    await expect.poll(async () => (await api.get(ten.credits)).body).toMatchObject({ available: 9 });
    await revoke(api, apiKey);
    await outcome;
    expect(await executions.count()).toBe(1);
  });
});

describe("no answer at all", () => {
  const silent = (["hang", "stall"] as const).flatMap((kind) => [
    { fault: { kind, when: "before" } as const, done: false },
    { fault: { kind, when: "after" } as const, done: true },
  ]);

  test.for(titled(silent))(
    "A11 $title: given up in time, sent again, done once",
    async ({ fault }, { envelope, ten, bridge, executions }) => {
      bridge.faults.next({ ...fault, match: spending });
      const sent = await envelope.write(spendCall, one, { ...named(ten), timeout_ms: 2_000 });
      expect(sent).toMatchObject({ answer: { available: 9 }, replayed: false, round_trips: 2 });
      expect(await executions.count()).toBe(1);
    },
  );

  test.for(titled(silent))(
    "A11 $title, for ever: outcome_unknown after three sends",
    async ({ fault, done }, { envelope, ten, bridge, executions }) => {
      const stuck = bridge.faults.next({ ...fault, match: spending, times: 99 });
      const silently = { ...named(ten), timeout_ms: 1_000 };
      await expect(envelope.write(spendCall, one, silently)).rejects.toMatchObject({ code: "outcome_unknown" });
      expect(stuck.done).toBe(3);
      stuck.cancel();
      // The same request of the client's again, under a request id of its own.
      expect(await envelope.write(spendCall, one, named(ten))).toMatchObject({
        answer: { available: 9 },
        replayed: done,
      });
      expect(await executions.count()).toBe(1);
    },
  );

  test("A11 a send that is given up while it waits for a lock is cancelled, and the next one does it", async ({
    envelope,
    ten,
    bridge,
    db,
    executions,
  }) => {
    const other = await db.connect();
    await other.query("begin");
    await other.query("select from ledger.account where owner_id = $1 for update", [ten.id]);
    const writing = envelope.write(spendCall, one, { ...named(ten), timeout_ms: 1_000 });
    await expect.poll(() => bridge.counters.cancelled).toBeGreaterThan(0);
    await other.query("rollback");
    other.release();
    expect(await writing).toMatchObject({ answer: { available: 9 } });
    expect(await executions.count()).toBe(1);
  });
});

test("A11 two calls with one key that pass the key's lock at once: the second is undone, and answers as the first", async ({
  envelope,
  ten,
  db,
  executions,
}) => {
  const first = await envelope.write(spendCall, one, named(ten, "first"));
  const other = await db.connect();
  await other.query("begin");
  // A caller that does not take the lock: its row is there, and nobody can see it yet.
  await other.query(
    `insert into ops.request (workspace_id, idempotency_key, fingerprint, request_id, answer, created_at)
     select workspace_id, 'mine', fingerprint, uuidv7(), answer, created_at from ops.request where workspace_id = $1 and idempotency_key = 'first'`,
    [ten.id],
  );
  const writing = envelope.write(spendCall, one, named(ten, "mine"));
  await blockedBackends(db, 1);
  await other.query("commit");
  other.release();
  expect(await writing).toMatchObject({ answer: first.answer, replayed: true, round_trips: 2 });
  expect(await executions.count()).toBe(2);
  const { rows } = await db.query("select available from ledger.account where owner_id = $1", [ten.id]);
  expect(rows).toEqual([{ available: "9" }]);
});

describe("a query of the driver's", () => {
  // `p.catch(log); await p` would send it twice, and so would two awaits.
  test("is sent once when it succeeds", async ({ envelope, ten, bridge, executions }) => {
    const sent = await Promise.all(
      Array.from({ length: 10 }, (_, i) => envelope.write(spendCall, one, named(ten, `k${i}`))),
    );
    expect(sent.map(({ round_trips }) => round_trips)).toEqual(Array.from({ length: 10 }, () => 1));
    expect(bridge.counters).toMatchObject({ requests: 10, statements: 10 });
    expect(await executions.count()).toBe(10);
  });

  test("is sent once when it fails for good", async ({ world, envelope, ten, bridge }) => {
    const statement = { sql: "select 1 / $1::int", params: [0], writes: true };
    const failing = run({ url: world.database.workerUrl, fetch_endpoint: bridge.url }, statement, {
      db_ms: 0,
      round_trips: 0,
    });
    await expect(failing).rejects.toMatchObject({ code: "internal_error" });
    const refused = envelope.write(spendCall, { ...one, amount: 11 }, named(ten));
    await expect(refused).rejects.toMatchObject({ code: "insufficient_credits", members: { available: 10 } });
    expect(bridge.counters).toMatchObject({ requests: 2, statements: 2 });
  });

  test("under a replay runs no routine", async ({ envelope, ten, bridge, executions }) => {
    for (let i = 0; i < 5; i += 1) {
      const sent = await envelope.write(spendCall, one, named(ten));
      expect(sent).toMatchObject({ answer: { available: 9 }, replayed: i > 0, round_trips: 1 });
    }
    expect(bridge.counters.statements).toBe(5);
    expect(await executions.count()).toBe(1);
  });
});
