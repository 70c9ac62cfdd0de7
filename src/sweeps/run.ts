import * as z from "zod";
import { call } from "../db/call.ts";
import { routine } from "../db/routine.ts";
import type { Database } from "../env.ts";
import type { Trace } from "../http/context.ts";
import { describe } from "../http/request.ts";
import { registry } from "./registry.ts";
import type { Sweep } from "./sweep.ts";

/** Longer than a run's budget and its last statement's time limit together: a lease must outlive its holder's work. */
const leaseSeconds = 60;

/** Cloudflare opens six connections an invocation; one stays free. */
const inFlight = 5;

const claimCall = routine({
  name: "ops.claim_sweeps",
  context: {},
  args: z.strictObject({ names: z.array(z.string()), intervals: z.array(z.string()), lease: z.string() }),
  result: z.object({ names: z.array(z.string()), run_ids: z.array(z.string()) }),
});

const finishCall = routine({
  name: "ops.finish_sweep",
  context: {},
  args: z.strictObject({
    run_id: z.string(),
    processed: z.int(),
    failed: z.int(),
    more: z.boolean(),
    error: z.string().nullable(),
  }),
  result: z.object({ finished: z.boolean() }),
});

/** Every routine that a tick calls, for the contract test. */
export const calls = [claimCall, finishCall, ...registry.map((entry) => entry.routine)];

/** What one run of a sweep did. */
export interface Run {
  name: string;
  processed: number;
  failed: number;
  /** There was more to do than the budget let; the next tick goes on. */
  more: boolean;
  error: string | null;
}

/**
 * One tick of the clock: claims the sweeps that are due and runs them, at most five at once. Two ticks at once share
 * the work by their claims. Answers the runs; a run that failed is among them with its error, and an alarm is open.
 */
export async function tick(database: Database): Promise<Run[]> {
  const due = await claim(database);
  const runs: Run[] = [];
  const worker = async (): Promise<void> => {
    for (let next = due.shift(); next !== undefined; next = due.shift()) {
      runs.push(await runOne(database, next.name, next.run_id));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return runs;
}

async function claim(database: Database): Promise<{ name: string; run_id: string }[]> {
  const args = {
    names: registry.map(({ name }) => name),
    intervals: registry.map(({ interval_seconds }) => `${interval_seconds} seconds`),
    lease: `${leaseSeconds} seconds`,
  };
  const { names, run_ids } = await call(database, claimCall, args, { db_ms: 0, round_trips: 0 });
  return names.map((name, i) => {
    const run_id = run_ids[i];
    if (run_id === undefined) throw new Error(`sweep ${name} was claimed without a run`);
    return { name, run_id };
  });
}

async function runOne(database: Database, name: string, run_id: string): Promise<Run> {
  const started = Date.now();
  const trace = { db_ms: 0, round_trips: 0 };
  const run = await sweepUntilDone(database, name, started, trace);
  const { processed, failed, more, error } = run;
  await call(database, finishCall, { run_id, processed, failed, more, error }, trace);
  const cost = { ms: Date.now() - started, database_ms: Math.round(trace.db_ms), round_trips: trace.round_trips };
  const line = JSON.stringify({ sweep: name, run_id, ...cost, processed, failed, more, error });
  if (error === null) console.log(line);
  else console.error(line);
  return run;
}

/** Statement after statement until nothing is left or the budget is over. An error ends the run and is its result. */
async function sweepUntilDone(
  database: Database,
  name: string,
  started: number,
  trace: Pick<Trace, "db_ms" | "round_trips">,
): Promise<Run> {
  const run: Run = { name, processed: 0, failed: 0, more: true, error: null };
  try {
    const entry: Sweep | undefined = registry.find((known) => known.name === name);
    if (entry === undefined) throw new Error(`no sweep is called ${name}`);
    while (run.more && Date.now() - started < entry.budget_ms) {
      const { processed, failed, more } = await call(database, entry.routine, { batch: entry.batch }, trace);
      run.processed += processed;
      run.failed += failed;
      run.more = more;
    }
  } catch (error) {
    run.error = describe(error);
  }
  return run;
}
