import { sql, type SQL } from "drizzle-orm";
import { drizzle, type PgRemoteDatabase } from "drizzle-orm/pg-proxy";
import type { AppContext } from "../http/context.ts";
import { Problem } from "../http/problem.ts";
import { run } from "./run.ts";

/** Who may read, and whose rows. */
export interface Reading {
  scope: string;
  /** Whom it concerns; null: the operator, whose key it takes. */
  workspace: string | null;
}

/** The columns of `ops.permit`, for the query to depend on. */
export interface Permit {
  readonly workspace_id: SQL<string>;
  readonly key_id: SQL<string>;
}

const permit: Permit = { workspace_id: sql<string>`p.workspace_id`, key_id: sql<string>`p.key_id` };

/**
 * Runs one drizzle query under the check of the API key, in one statement. LEFT JOIN keeps the permit's row whatever the
 * query finds, so the check is made (and refuses by an error) before any row can be answered; a query that finds nothing
 * is told from a refusal by `present`. Throws `Problem`: `unauthenticated`, `forbidden`, `not_found`,
 * `operator_key_required`, `database_busy`, `database_unavailable`.
 */
export async function read<Row>(
  c: AppContext,
  reading: Reading,
  query: (db: PgRemoteDatabase, permit: Permit) => PromiseLike<Row[]>,
): Promise<Row[]> {
  const db = drizzle(async (text, params) => {
    const next = params.length;
    const rows = await run(
      c.get("database"),
      {
        sql: `select r.* from ops.permit(key_hash => $${next + 1}, scope => $${next + 2}, workspace => $${next + 3}) p
  left join lateral (select true as present, q.* from (${text}) q) r on true`,
        params: [...params, c.get("credential"), reading.scope, reading.workspace],
        writes: false,
      },
      c.get("trace"),
    );
    return { rows: rows.filter(([present]) => present === true).map(([, ...row]) => row) };
  });
  try {
    return await query(db, permit);
  } catch (error) {
    // drizzle wraps what its driver throws.
    if (error instanceof Error && error.cause instanceof Problem) throw error.cause;
    throw error;
  }
}

/**
 * Checks the API key alone, as `read` does: for what a request is refused with before anything is read or written. Who may
 * not ask is told so, and not what else is wrong.
 */
export async function permitted(c: AppContext, reading: Reading): Promise<void> {
  await read(c, reading, (db) => db.select({ key_id: permit.key_id }).from(sql`(select) nothing`));
}
