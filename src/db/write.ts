import type * as z from "zod";
import type { AppContext } from "../http/context.ts";
import type { Routine } from "./routine.ts";
import { run } from "./run.ts";

/** A call of a routine, in the name of the request's API key. */
export interface Call<Args extends z.ZodObject, Result extends z.ZodObject> {
  routine: Routine<Args, Result>;
  args: z.infer<Args>;
  /** What the key must be allowed to do. */
  scope: string;
  /** Whom it concerns; null: the operator, whose key it takes. */
  workspace: string | null;
  /** The workspace's own writes: a workspace that is read-only or frozen is refused. Without: even then it may be done. */
  refuse_read_only?: boolean;
}

const composed = { always: new WeakMap<Routine, string>(), unlessReadOnly: new WeakMap<Routine, string>() };

/**
 * The envelope of a write: key check, scope, workspace, idempotency and the routine, in one statement and one
 * transaction. CASE decides whether the routine runs: a WHERE or a LATERAL around it does not (the planner moves it).
 */
export function compose(routine: Routine, refuse_read_only = false): string {
  const texts = refuse_read_only ? composed.unlessReadOnly : composed.always;
  const known = texts.get(routine);
  if (known !== undefined) return known;
  const given = Object.keys(routine.args.shape).map((name, i) => `${name} => $${i + 7}`);
  const filled = Object.entries(routine.context).map(([name, column]) => `${name} => c.${column}`);
  const sql = `select c.replay is not null and not c.own as replayed,
       case when c.replay is null
            then ops.remember(
              workspace_id => c.workspace_id, idempotency_key => c.idempotency_key, fingerprint => c.fingerprint,
              request_id => c.request_id, answer => to_json(${routine.name}(${[...filled, ...given].join(", ")})))
            else c.replay end as answer
  from ops.admit(key_hash => $1, scope => $2, workspace => $3, idempotency_key => $4, fingerprint => $5, request_id => $6${refuse_read_only ? ", even_read_only => false" : ""}) c`;
  texts.set(routine, sql);
  return sql;
}

/**
 * Calls a routine once for this request and its idempotency key, and answers its row. A replay answers the first call's
 * row and says so in `Idempotent-Replayed`. Throws `Problem`: the routine's refusals, and those of `run`.
 */
export async function write<Args extends z.ZodObject, Result extends z.ZodObject>(
  c: AppContext,
  call: Call<Args, Result>,
): Promise<z.infer<Result>> {
  const args: Record<string, unknown> = call.args;
  const rows = await run(
    c.get("database"),
    {
      sql: compose(call.routine, call.refuse_read_only),
      params: [
        c.get("credential"),
        call.scope,
        call.workspace,
        c.get("idempotencyKey"),
        c.get("fingerprint"),
        c.get("requestId"),
        ...Object.keys(call.routine.args.shape).map((name) => args[name]),
      ],
      writes: true,
    },
    c.get("trace"),
  );
  const [replayed, answer] = rows[0] ?? [];
  if (replayed === true) {
    c.get("trace").replayed = true;
    c.header("Idempotent-Replayed", "true");
  }
  return call.routine.result.parse(answer);
}
