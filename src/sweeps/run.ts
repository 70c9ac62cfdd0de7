import * as z from "zod";
import { call } from "../db/call.ts";
import { permitted } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import { settings as settingsOf, type Settings } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import { Problem } from "../http/problem.ts";
import { describe } from "../http/request.ts";
import { registry } from "./registry.ts";
import { type Done, Shift, Tick } from "./shift.ts";
import type { Sweep } from "./sweep.ts";

/** Longer than a run's budget and its last statement's or question's time limit together: a lease must outlive its holder's work. */
const leaseSeconds = 60;

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

const claimOneCall = routine({
  name: "ops.claim_sweep",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ name: z.string(), lease: z.string() }),
  result: z.object({ name: z.string(), run_id: z.string() }),
});

/** Every routine that a tick calls, for the contract test. */
export const calls = [claimCall, claimOneCall, finishCall, ...registry.flatMap((entry) => entry.calls)];

/** What one run of a sweep did. */
export interface Run extends Done {
  name: string;
  error: string | null;
}

/**
 * One tick of the clock: claims the sweeps that are due and runs them side by side, with at most five requests in flight
 * between them. Two ticks at once share the work by their claims. Answers the runs; a run that failed is among them with
 * its error, and an alarm is open.
 */
export async function tick(settings: Settings, sweeps: readonly Sweep[] = registry): Promise<Run[]> {
  const due = await claim(settings, sweeps).catch((error: unknown) => {
    throw logged({ tick: "failed" }, error);
  });
  const shared = new Tick(settings);
  return Promise.all(due.map((claimed) => runOne(shared, claimed)));
}

/** Runs one sweep for a person who does not wait for its time. Refuses `not_found`, and `sweep_running` where another run of it is under way. */
export async function runNow(c: AppContext, name: string): Promise<Run & { id: string }> {
  const sweep = registry.find((known) => known.name === name);
  const args = { name, lease: `${leaseSeconds} seconds` };
  if (sweep === undefined) {
    await permitted(c, { scope: "ops:write", workspace: null });
    throw new Problem("not_found");
  }
  const { run_id } = await write(c, { routine: claimOneCall, args, scope: "ops:write", workspace: null });
  return { id: run_id, ...(await runOne(new Tick(settingsOf(c.env)), { sweep, run_id })) };
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

async function claim({ database }: Settings, sweeps: readonly Sweep[]): Promise<Claim[]> {
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

async function runOne(shared: Tick, { sweep, run_id }: Claim): Promise<Run> {
  const started = Date.now();
  const shift = new Shift(shared, sweep.name, sweep.budget_ms);
  const run = await sweepUntilDone(shift, sweep);
  const { name, processed, failed, more, error } = run;
  await shift.call(finishCall, { run_id, processed, failed, more, error }).catch((lost: unknown) => {
    // The work is done and its lease runs out by itself; the run without an end stays in GET /v1/sweeps.
    logged({ sweep: name, run_id, report: "failed" }, lost);
  });
  const { db_ms, round_trips } = shift.trace;
  const cost = { ms: Date.now() - started, database_ms: Math.round(db_ms), round_trips };
  const line = JSON.stringify({ sweep: name, run_id, ...cost, processed, failed, more, error });
  if (error === null) console.log(line);
  else console.error(line);
  return run;
}

/** Batch after batch until nothing is left or the budget is over. An error ends the run and is its result. */
async function sweepUntilDone(shift: Shift, sweep: Sweep): Promise<Run> {
  const run: Run = { name: sweep.name, processed: 0, failed: 0, more: true, error: null };
  try {
    while (run.more && !shift.over()) {
      const { processed, failed, more } = await sweep.work(shift);
      run.processed += processed;
      run.failed += failed;
      run.more = more;
    }
  } catch (error) {
    run.error = describe(error);
  }
  return run;
}
