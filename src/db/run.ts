import { neon, neonConfig, types, type NeonQueryFunction } from "@neondatabase/serverless";
import type { Database } from "../env.ts";
import type { Trace } from "../http/context.ts";
import { Problem } from "../http/problem.ts";
import { judge } from "./failure.ts";

/** A statement with its parameters, ready to be sent, and to be sent again. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly unknown[];
  /** A repeat has one effect: it is a read, or the envelope's request row makes it one. Every statement of ours is. */
  readonly writes: boolean;
}

export interface RunOptions {
  /** Milliseconds after which one attempt is aborted. Longer than the role's statement_timeout (8 s). */
  timeout_ms?: number;
}

/** The role's statement_timeout is 8 s; past 10 s the answer is lost, not late. */
const timeout_ms = 10_000;
/** Sends of one statement whose outcome stays unknown. */
const unknown_attempts = 3;
/** Repeats after an error of the moment, besides the first send. */
const passing_repeats = 3;

const timestamps = new Set([1082, 1083, 1114, 1184, 1266]);

/** Times stay as Postgres writes them: a JavaScript Date would drop the microseconds. 64-bit integers stay text. */
const parsers = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    timestamps.has(oid) ? (value: string) => value : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};

const clients = new Map<string, NeonQueryFunction<true, false>>();

/** One client per connection string: it holds no connection and no request's data, only the parsed address. */
function client(database: Database): NeonQueryFunction<true, false> {
  const known = clients.get(database.url);
  if (known !== undefined) return known;
  if (database.fetch_endpoint !== null) neonConfig.fetchEndpoint = database.fetch_endpoint;
  const made = neon(database.url, { arrayMode: true, fullResults: false });
  clients.set(database.url, made);
  return made;
}

/**
 * Runs one statement: the only place where the driver is called, so that nothing else can hold one of its query objects
 * (each `then` on such an object runs the SQL again).
 *
 * The retry rule stands here and nowhere else. An unknown outcome is repeated with the same parameters, the request id
 * among them: if it had been done, the envelope replays it. An error of the moment is repeated with jitter. Everything
 * else is answered. Throws `Problem`: the refusal, `database_busy` (nothing was done), `outcome_unknown` (a write that
 * may have been done) or `database_unavailable` (a read).
 */
export async function run(
  database: Database,
  statement: Statement,
  trace: Pick<Trace, "db_ms" | "round_trips">,
  options: RunOptions = {},
): Promise<unknown[][]> {
  const started = performance.now();
  try {
    let unknowns = 0;
    let repeats = 0;
    for (;;) {
      trace.round_trips += 1;
      try {
        return await client(database).query(statement.sql, [...statement.params], {
          // Here and not in neon(): the driver ignores it there, and Dates lose the microseconds.
          types: parsers,
          fetchOptions: { signal: AbortSignal.timeout(options.timeout_ms ?? timeout_ms) },
        });
      } catch (error) {
        const verdict = judge(error);
        if (verdict.kind === "definite") {
          // "Nothing was done" is true of this send only, and an earlier one may have been.
          throw unknowns > 0 && statement.writes && !verdict.looked ? lost(statement, error) : verdict.problem;
        }
        if (verdict.kind === "unknown") {
          unknowns += 1;
          if (unknowns >= unknown_attempts) throw lost(statement, error);
        } else {
          repeats += 1;
          // Who holds the lock that this one waited for may be an earlier send, or another call with this key: then
          // "nothing was done" would be true of this send only, and the client may hold it for the key's.
          if (repeats > passing_repeats) {
            throw unknowns > 0 || verdict.behind
              ? lost(statement, error)
              : new Problem("database_busy", { retry_after: 1 }, { cause: error });
          }
        }
        await pause(unknowns + repeats);
      }
    }
  } finally {
    trace.db_ms += performance.now() - started;
  }
}

function lost(statement: Statement, cause: unknown): Problem {
  return new Problem(statement.writes ? "outcome_unknown" : "database_unavailable", { retry_after: 1 }, { cause });
}

/** Full jitter, doubling: 20, 40, 80 … ms at most, so that those who met once do not meet again. */
function pause(turn: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * 2 ** Math.min(turn - 1, 5)));
}
