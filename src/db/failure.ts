import { NeonDbError } from "@neondatabase/serverless";
import { isCode, Problem, type Code } from "../http/problem.ts";

/** What a failed statement says about itself. */
export type Verdict =
  /** Nobody knows whether it was done: the same statement must be sent again before anybody is told anything. */
  | { kind: "unknown" }
  /**
   * It was rolled back because of the moment, and the same statement may pass now. `behind`: it had waited for another
   * call with its key, which may be done by the time that anybody hears of this.
   */
  | { kind: "passing"; behind: boolean }
  /**
   * It was rolled back, and would be again. `looked`: only after the envelope had looked for the answer of an earlier send
   * and found none. Without it, this says nothing about a send whose outcome is unknown.
   */
  | { kind: "definite"; problem: Problem; looked: boolean };

/** Constraints whose violation is a client's doing; any other is a failure of ours. The name decides, never the message. */
const refusals: Readonly<Record<string, Code>> = {
  amount_within: "balance_limit_exceeded",
  transaction_key_once: "idempotency_key_reused",
};

/** 40001 serialization failure, 40P01 deadlock, 55P03 lock timeout: rolled back, and worth another try. */
const passing = new Set(["40001", "40P01", "55P03"]);

/** What may be said before the envelope has looked: at the door (a key that was revoked meanwhile), or by a full house. */
const blind = new Set<Code>(["unauthenticated", "database_busy", "database_unavailable", "internal_error"]);

/**
 * Reads the driver's error. Only HTTP 400 with a SQLSTATE is Postgres speaking, and not even that when the SQLSTATE is
 * 08xxx (the proxy lost or cancelled the connection) or 57Pxx (the server was shut down): PITFALLS of the protocol are
 * that a fetch which throws, an empty code, 507, any other status and a truncated 200 may all come after COMMIT.
 */
export function judge(error: unknown): Verdict {
  const state = error instanceof NeonDbError ? error.code : undefined;
  if (!(error instanceof NeonDbError) || state === undefined || !/^[0-9A-Z]{5}$/.test(state))
    return { kind: "unknown" };
  if (state.startsWith("08") || state.startsWith("57P")) return { kind: "unknown" };
  if (passing.has(state)) return { kind: "passing", behind: /\bops\.(?:admit|remember)\(/.test(error.where ?? "") };
  // Two calls with one key at once, past the advisory lock: the second was rolled back whole, and now finds the answer.
  if (state === "23505" && error.constraint === "request_once") return { kind: "passing", behind: true };
  const problem = problemOf(error, state);
  return { kind: "definite", problem, looked: !blind.has(problem.code) };
}

function problemOf(error: NeonDbError, state: string): Problem {
  if (state === "TG001" && isCode(error.message)) {
    const members: unknown = JSON.parse(error.detail ?? "{}");
    return new Problem(error.message, typeof members === "object" && members !== null ? { ...members } : {});
  }
  const refusal = error.constraint === undefined ? undefined : refusals[error.constraint];
  if (refusal !== undefined) return new Problem(refusal, {}, { cause: error });
  // 57014 statement timeout, 53xxx no memory, room or connection: rolled back; a client may try later.
  if (state === "57014" || state.startsWith("53"))
    return new Problem("database_busy", { retry_after: 1 }, { cause: error });
  // 28xxx: our own credentials were refused, so nothing ran.
  if (state.startsWith("28")) return new Problem("database_unavailable", { retry_after: 5 }, { cause: error });
  return new Problem("internal_error", {}, { cause: error });
}
