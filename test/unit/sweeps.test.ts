import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Settings } from "../../src/env.ts";
import { tick } from "../../src/sweeps/run.ts";
import { sweep } from "../../src/sweeps/sweep.ts";

const settings: Settings = {
  database: { url: "postgres://u:p@h/d", fetch_endpoint: null },
  stripe: null,
  btcpay: null,
  webhook_key: null,
  local: true,
  checkout_origins: [],
  public_url: null,
  provisioner: null,
  mail: null,
  telegram: null,
  assets: null,
};
const sweeps = Array.from({ length: 12 }, (_, i) => sweep("ops", `sweep_${i}`, 60));
const names = sweeps.map(({ name }) => name);
const done = { processed: 1, failed: 0, more: false };

beforeEach(() => {
  vi.spyOn(console, "log").mockReturnValue(undefined);
  vi.spyOn(console, "error").mockReturnValue(undefined);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** Neon's answer to a call of a routine. */
function row(answer: object): Response {
  const field = { name: "answer", dataTypeID: 114, tableID: 0, columnID: 0, dataTypeSize: -1, dataTypeModifier: -1 };
  const body = { fields: [field], rows: [[JSON.stringify(answer)]], rowAsArray: true, command: "SELECT", rowCount: 1 };
  return Response.json(body);
}

/** Neon's answer when Postgres refuses. */
function refused(message: string): Response {
  return Response.json({ message, code: "XX000" }, { status: 400 });
}

/** Stands in for the database over HTTP: what a sweep's statement does, and what the runs told at their ends. */
function answering(statement: (name: string) => Promise<Response>) {
  const finished: unknown[][] = [];
  vi.stubGlobal("fetch", async (_url: string, { body }: { body: string }) => {
    const { query, params }: { query: string; params: unknown[] } = JSON.parse(body);
    if (query.includes("ops.claim_sweeps(")) {
      const asked = names.filter((name) => String(params[0]).includes(`"${name}"`));
      return row({ names: asked, run_ids: asked.map((name) => `run of ${name}`) });
    }
    if (query.includes("ops.finish_sweep(")) {
      finished.push(params);
      return row({ name: "x", finished: true });
    }
    return statement(/ops\.(sweep_\d+)\(/.exec(query)?.[1] ?? "");
  });
  return finished;
}

test("D22 a tick has at most five fetches in flight, and runs every sweep that it claimed", async () => {
  let inFlight = 0;
  let most = 0;
  const finished = answering(async () => {
    inFlight += 1;
    most = Math.max(most, inFlight);
    await new Promise(setImmediate);
    inFlight -= 1;
    return row(done);
  });
  const runs = await tick(settings, sweeps);
  expect(most).toBe(5);
  expect(new Set(runs.map(({ name }) => name))).toEqual(new Set(names));
  expect(new Set(finished.map(([run_id]) => run_id))).toEqual(new Set(names.map((name) => `run of ${name}`)));
});

test("D16 a sweep goes on while there is more, and begins nothing after 15 seconds", async () => {
  let statements = 0;
  let now = 0;
  vi.spyOn(Date, "now").mockImplementation(() => now);
  answering(async () => {
    statements += 1;
    now += 4_000;
    return row({ processed: 100, failed: 1, more: true });
  });
  const [first] = await tick(settings, sweeps.slice(0, 1));
  expect(statements).toBe(4);
  expect(first).toEqual({ name: "sweep_0", processed: 400, failed: 4, more: true, error: null });
});

test("D21 a sweep that fails is told with its error and what it had done; the others run", async () => {
  let statements = 0;
  const finished = answering(async (name) => {
    if (name !== "sweep_3") return row(done);
    statements += 1;
    return statements === 1 ? row({ processed: 100, failed: 0, more: true }) : refused("the disk is on fire");
  });
  await tick(settings, sweeps);
  expect(finished).toHaveLength(12);
  const told = finished.find(([run_id]) => run_id === "run of sweep_3");
  expect(told).toEqual(["run of sweep_3", "100", "0", "true", expect.stringContaining("the disk is on fire")]);
  expect(vi.mocked(console.error)).toHaveBeenCalledTimes(1);
});

test("D21 a report or a claim that fails is logged, and the claim's failure fails the tick", async () => {
  answering(async () => row(done));
  const whole = fetch;
  vi.stubGlobal("fetch", async (url: string, init: { body: string }) =>
    init.body.includes("ops.finish_sweep(") ? refused("not reported") : whole(url, init),
  );
  expect(await tick(settings, sweeps)).toHaveLength(12);
  expect(vi.mocked(console.error)).toHaveBeenCalledTimes(12);

  vi.stubGlobal("fetch", async () => refused("not claimed"));
  await expect(tick(settings, sweeps)).rejects.toThrow("internal_error");
  expect(String(vi.mocked(console.error).mock.lastCall?.[0])).toContain("not claimed");
});
