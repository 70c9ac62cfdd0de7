import type { Pool } from "pg";
import { registry } from "../../src/sweeps/registry.ts";
import type { RunningWorker } from "../world/worker.ts";

/** What a run of a sweep did, as it is recorded. */
export interface SweepRun {
  name: string;
  processed: number;
  failed: number;
  more: boolean;
  error: string | null;
}

/** Has one tick of a Worker run these sweeps and no others, whenever they were due. Answers their runs, by name. */
export async function sweepOnly(db: Pool, worker: RunningWorker, ...names: string[]): Promise<SweepRun[]> {
  await makeDue(db, names);
  const before = await db.query<{ id: string }>(
    "select coalesce(max(id), '00000000-0000-0000-0000-000000000000') as id from (select id::text from ops.sweep_run) r",
  );
  await worker.tick();
  const { rows } = await db.query<SweepRun>(
    "select name, processed, failed, more, error from ops.sweep_run where id::text > $1 order by name",
    [before.rows[0]?.id],
  );
  return rows;
}

/** These sweeps are due, and no others. In the order of their names, as ticks claim them: a tick may be under way. */
async function makeDue(db: Pool, names: readonly string[]): Promise<void> {
  await db.query(
    `insert into ops.sweep (name, started_at)
     select name, case when name = any($2) then ops.now() - interval '2 days' else ops.now() end
       from unnest($1::text[]) name
      order by name
     on conflict (name) do update set started_at = excluded.started_at, leased_until = null, more = false`,
    [registry.map(({ name }) => name), names],
  );
}

/**
 * These sweeps are due once more, each with a claim that somebody has still: so several run it at once. One after the other: whoever
 * took both rows at once, in no order, would wait for a tick in a ring.
 */
export async function dueAgain(db: Pool, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await db.query(
      "update ops.sweep set leased_until = null, started_at = started_at - interval '2 days' where name = $1",
      [name],
    );
  }
}
