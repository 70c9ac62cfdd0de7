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
  result: z.object({ name: z.string().nullable(), finished: z.boolean() }),
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
export async function tick(database: Database, sweeps: readonly Sweep[] = registry): Promise<Run[]> {
  const due = await claim(database, sweeps).catch((error: unknown) => {
    throw logged({ tick: "failed" }, error);
  });
  const runs: Run[] = [];
  const worker = async (): Promise<void> => {
    for (let next = due.shift(); next !== undefined; next = due.shift()) runs.push(await runOne(database, next));
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return runs;
}

/** Logs a failure with what it was about, and hands it on. */
function logged(about: object, error: unknown): unknown {
  console.error(JSON.stringify({ ...about, error: describe(error) }));
  return error;
}

/** A sweep that is this tick's to run. */
interface Claim {
  sweep: Sweep;
  run_id: string;
}

async function claim(database: Database, sweeps: readonly Sweep[]): Promise<Claim[]> {
  const args = {
    names: sweeps.map(({ name }) => name),
    intervals: sweeps.map(({ interval_seconds }) => `${interval_seconds} seconds`),
    lease: `${leaseSeconds} seconds`,
  };
  const { names, run_ids } = await call(database, claimCall, args, { db_ms: 0, round_trips: 0 });
  return names.map((name, i) => {
    const [sweep, run_id] = [sweeps.find((known) => known.name === name), run_ids[i]];
    if (sweep === undefined || run_id === undefined) throw new Error(`the claim of ${name} is not whole`);
    return { sweep, run_id };
  });
}

async function runOne(database: Database, { sweep, run_id }: Claim): Promise<Run> {
  const started = Date.now();
  const trace = { db_ms: 0, round_trips: 0 };
  const run = await sweepUntilDone(database, sweep, started, trace);
  const { name, processed, failed, more, error } = run;
  await call(database, finishCall, { run_id, processed, failed, more, error }, trace).catch((lost: unknown) => {
    // The work is done and its lease runs out by itself; the run without an end stays in GET /v1/sweeps.
    logged({ sweep: name, run_id, report: "failed" }, lost);
  });
  const cost = { ms: Date.now() - started, database_ms: Math.round(trace.db_ms), round_trips: trace.round_trips };
  const line = JSON.stringify({ sweep: name, run_id, ...cost, processed, failed, more, error });
  if (error === null) console.log(line);
  else console.error(line);
  return run;
}

/** Statement after statement until nothing is left or the budget is over. An error ends the run and is its result. */
async function sweepUntilDone(
  database: Database,
  sweep: Sweep,
  started: number,
  trace: Pick<Trace, "db_ms" | "round_trips">,
): Promise<Run> {
  const run: Run = { name: sweep.name, processed: 0, failed: 0, more: true, error: null };
  try {
    while (run.more && Date.now() - started < sweep.budget_ms) {
      const { processed, failed, more } = await call(database, sweep.routine, { batch: sweep.batch }, trace);
      run.processed += processed;
      run.failed += failed;
      run.more = more;
    }
  } catch (error) {
    run.error = describe(error);
  }
  return run;
}
