import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { ask, running, test } from "../support/bridge.ts";
import { buildWorker } from "../world/bundle.ts";
import type { Fault } from "../world/bridge/faults.ts";
import { startWorker } from "../world/worker.ts";

/** Each fault, seen by Neon's driver; and whether the statement under it has been done. */
const shapes: { fault: Fault; done: boolean; seen: object }[] = [
  { fault: { kind: "drop", when: "before" }, done: false, seen: { message: /fetch failed/ } },
  { fault: { kind: "drop", when: "after" }, done: true, seen: { message: /fetch failed/ } },
  { fault: { kind: "empty_code", when: "before" }, done: false, seen: { name: "NeonDbError", code: "" } },
  { fault: { kind: "empty_code", when: "after" }, done: true, seen: { name: "NeonDbError", code: "" } },
  { fault: { kind: "08P01", when: "before" }, done: false, seen: { code: "08P01" } },
  { fault: { kind: "08P01", when: "after" }, done: true, seen: { code: "08P01" } },
  { fault: { kind: "507" }, done: true, seen: { message: /HTTP status 507/ } },
  { fault: { kind: "truncated" }, done: true, seen: { name: "SyntaxError" } },
  { fault: { kind: "40001" }, done: false, seen: { code: "40001" } },
  { fault: { kind: "40P01" }, done: false, seen: { code: "40P01" } },
  { fault: { kind: "55P03" }, done: false, seen: { code: "55P03" } },
];

test.for(shapes)(
  "$fault.kind $fault.when: the client sees it, and the effect is there: $done",
  async (shape, { sql, bridge }) => {
    await sql`create table if not exists effect (id int generated always as identity)`;
    await sql`truncate effect`;
    bridge.faults.next({ ...shape.fault, match: "insert into effect" });
    await expect(sql`insert into effect default values`).rejects.toMatchObject(shape.seen);
    expect(await sql`select count(*)::int as n from effect`).toEqual([{ n: shape.done ? 1 : 0 }]);
    // Only the next matching request was meant.
    await sql`insert into effect default values`;
    expect(bridge.faults.pending).toBe(0);
  },
);

test("a delay holds the statement back, or only its answer", async ({ sql, bridge }) => {
  await sql`create table late (id int, at timestamptz default clock_timestamp())`;
  const look = async (): Promise<number | undefined> => (await sql`select count(*)::int as n from late`)[0]?.["n"];
  bridge.faults.next({ kind: "delay", when: "before", ms: 300, match: "insert into late" });
  // The two clocks are one machine's.
  const started = Date.now();
  await sql`insert into late values (1)`;
  const [first] = await sql`select (extract(epoch from at) * 1000)::float8 as at from late`;
  expect(first?.["at"] - started).toBeGreaterThan(290);
  bridge.faults.next({ kind: "delay", when: "after", ms: 60_000, match: "insert into late" });
  const abort = new AbortController();
  const answer = sql.query("insert into late values (2)", [], { fetchOptions: { signal: abort.signal } });
  const outcome = expect(answer).rejects.toThrow(/abort/);
  await expect.poll(look).toBe(2);
  abort.abort();
  await outcome;
});

test("a hang lasts until the client gives up, and does nothing", async ({ sql, bridge }) => {
  await sql`create table hung (id int)`;
  const hang = bridge.faults.next({ kind: "hang" });
  const abort = new AbortController();
  const answer = sql.query("insert into hung values (1)", [], { fetchOptions: { signal: abort.signal } });
  const outcome = expect(answer).rejects.toThrow(/abort/);
  await hang.exhausted;
  abort.abort();
  await outcome;
  expect(await sql`select * from hung`).toEqual([]);
});

test("a fault comes as often as asked, to requests that match, in the order of asking", async ({ sql, bridge }) => {
  bridge.faults.next({ kind: "40001", match: /select \d+ as marked/, times: 2 });
  const cancelled = bridge.faults.next({ kind: "drop", when: "before" });
  cancelled.cancel();
  bridge.faults.next({ kind: "55P03", match: "marked" });
  await expect(sql`select 1 as other`).resolves.toHaveLength(1);
  const codes = [];
  for (let i = 0; i < 4; i += 1) {
    codes.push(
      await sql`select 7 as marked`.then(
        () => "done",
        (error: { code: string }) => error.code,
      ),
    );
  }
  expect(codes).toEqual(["40001", "40001", "55P03", "done"]);
});

test("a batch meets its fault as a whole", async ({ sql, bridge }) => {
  await sql`create table batched (id int)`;
  bridge.faults.next({ kind: "drop", when: "after", match: "values (2)" });
  const batch = sql.transaction([sql`insert into batched values (1)`, sql`insert into batched values (2)`]);
  await expect(batch).rejects.toThrow(/fetch failed/);
  expect(await sql`select id from batched order by id`).toEqual([{ id: 1 }, { id: 2 }]);
});

test("faults are asked for over HTTP too; one that makes no sense is refused by name", async ({ sql, bridge }) => {
  const faults = bridge.url.replace(/sql$/, "faults");
  const put = (body: unknown): Promise<Response> => fetch(faults, { method: "POST", body: JSON.stringify(body) });
  expect((await put({ kind: "40001", match: "over http", times: 3 })).status).toBe(200);
  await expect(sql`select 'over http'`).rejects.toMatchObject({ code: "40001" });
  expect(await (await fetch(faults)).json()).toEqual([
    { fault: { kind: "40001", match: "over http", times: 3 }, done: 1, left: 2 },
  ]);
  expect(await (await fetch(faults, { method: "DELETE" })).json()).toEqual([]);
  for (const wrong of [
    {},
    { kind: "explode" },
    { kind: "delay" },
    { kind: "40001", when: "after" },
    { kind: "drop", ms: 1 },
  ]) {
    expect((await put(wrong)).status, JSON.stringify(wrong)).toBe(422);
  }
  expect(() => bridge.faults.next({ kind: "delay" })).toThrow(/`ms`/);
  await expect(sql`select 'over http'`).resolves.toHaveLength(1);
});

test("the round trip that the bridge acts is no shorter than asked", async ({ sql, bridge }) => {
  bridge.delayMs = 20;
  const started = performance.now();
  await sql`select 1`;
  await sql`select 1`;
  bridge.delayMs = 0;
  expect(performance.now() - started).toBeGreaterThanOrEqual(38);
});

test("workerd meets the faults as they are: a cut is a throw, an abort reaches Postgres", async ({
  database,
  bridge,
  endless,
}) => {
  const directory = mkdtempSync(join(tmpdir(), "tollgate-fixture-"));
  writeFileSync(
    join(directory, "wrangler.toml"),
    'name = "fixture"\nmain = "fixture.js"\ncompatibility_date = "2026-10-20"\n',
  );
  writeFileSync(
    join(directory, "fixture.js"),
    `export default {
      async fetch(request, env) {
        const { query, timeout_ms } = await request.json();
        try {
          const answer = await fetch(env.DATABASE_FETCH_ENDPOINT, {
            method: "POST",
            body: JSON.stringify({ query }),
            headers: { "Neon-Connection-String": env.DATABASE_URL },
            signal: AbortSignal.timeout(timeout_ms),
          });
          return Response.json({ status: answer.status });
        } catch (error) {
          return Response.json({ threw: error.name + ": " + error.message });
        }
      },
    };`,
  );
  const worker = await startWorker(await buildWorker(join(directory, "bundle"), join(directory, "wrangler.toml")), {
    DATABASE_URL: database.superuserUrl,
    DATABASE_FETCH_ENDPOINT: bridge.url,
  });
  const post = async (query: string, timeout_ms = 30_000): Promise<unknown> =>
    (await ask(worker.url, undefined, JSON.stringify({ query, timeout_ms }))).body;
  try {
    expect(await post("select 1")).toEqual({ status: 200 });
    bridge.faults.next({ kind: "drop", when: "before" });
    expect(await post("select 1")).toEqual({ threw: "Error: Network connection lost." });
    bridge.faults.next({ kind: "507" });
    expect(await post("select 1")).toEqual({ status: 507 });
    const slow = post(endless, 5_000);
    await expect.poll(() => running(database.owner, endless)).toBe(1);
    expect(await slow).toEqual({ threw: expect.stringMatching(/^TimeoutError/) });
    await expect.poll(() => running(database.owner, endless)).toBe(0);
  } finally {
    await worker.stop();
    rmSync(directory, { recursive: true });
  }
});
