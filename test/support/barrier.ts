import type { Pool, PoolClient } from "pg";

/**
 * Starts `work` n times at once and answers what each answered, in order. All have ended when it returns, also when one
 * threw: nobody goes on working in the next test. The first error is thrown.
 */
export async function race<Result>(n: number, work: (i: number) => Promise<Result>): Promise<Result[]> {
  const outcomes = await Promise.allSettled(Array.from({ length: n }, (_, i) => work(i)));
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}

/** How many of each: `tally(["spent", "spent", 402])` is `{ spent: 2, 402: 1 }`. */
export function tally(outcomes: readonly (string | number)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

/** Waits for a fact: asks again, with a pause for the others' sake, until `holds`. Throws after `within_ms`. */
export async function until(what: string, holds: () => Promise<boolean>, within_ms = 20_000): Promise<void> {
  const started = performance.now();
  while (!(await holds())) {
    if (performance.now() - started > within_ms) throw new Error(`${what}: not so after ${within_ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Waits until at least n backends of this database wait for a lock. */
export async function blockedBackends(db: Pool, n: number): Promise<void> {
  await until(`${n} backends wait for a lock`, async () => (await blocked(db)) >= n);
}

async function blocked(db: Pool): Promise<number> {
  const found = await db.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  );
  return found.rows[0]?.n ?? 0;
}

/**
 * Races n behind a closed gate: takes the lock that `statement` takes in a transaction of its own, starts all, waits until
 * all of them wait for a lock, and only then lets go. So they truly meet, whatever the machine's speed.
 */
export async function raceBehind<Result>(
  db: Pool,
  statement: { text: string; values?: unknown[] },
  n: number,
  work: (i: number) => Promise<Result>,
): Promise<Result[]> {
  const gate = await db.connect();
  try {
    await gate.query("begin");
    await gate.query(statement);
    const racing = race(n, work);
    // Awaited below; until then an early failure must not count as unhandled.
    racing.catch(() => undefined);
    await blockedBackends(db, n);
    await gate.query("rollback");
    return await racing;
  } finally {
    // Closed and not given back: whatever happened, its lock goes with it.
    gate.release(true);
  }
}

/**
 * Runs `beside` while a transaction is open that has done `first`, and commits that one as soon as `beside` waits for a
 * lock, or has ended without waiting. Answers what `beside` did.
 */
export async function besideOpen<Result>(
  db: Pool,
  first: (connection: PoolClient) => Promise<unknown>,
  beside: () => Promise<Result>,
): Promise<Result> {
  const gate = await db.connect();
  try {
    await gate.query("begin");
    await first(gate);
    let ended = false;
    const running = beside().finally(() => {
      ended = true;
    });
    // Awaited below; until then an early failure must not count as unhandled.
    running.catch(() => undefined);
    await until("it waits or has ended", async () => ended || (await blocked(db)) > 0);
    await gate.query("commit");
    return await running;
  } finally {
    gate.release(true);
  }
}
