import type * as z from "zod";
import type { Database } from "../env.ts";
import type { Trace } from "../http/context.ts";
import type { Routine } from "./routine.ts";
import { run } from "./run.ts";

/**
 * Calls a routine without an envelope: what the house does by itself (sweeps, readiness). The routine must be harmless to
 * repeat: after an unknown outcome it is called again. Throws `Problem` as `run` does.
 */
export async function call<Args extends z.ZodObject, Result extends z.ZodObject>(
  database: Database,
  routine: Routine<Args, Result>,
  args: z.infer<Args>,
  trace: Pick<Trace, "db_ms" | "round_trips">,
): Promise<z.infer<Result>> {
  const values: Record<string, unknown> = args;
  const names = Object.keys(routine.args.shape);
  // Quoted: some good names are words of SQL's.
  const given = names.map((name, i) => `"${name}" => $${i + 1}`);
  const rows = await run(
    database,
    {
      sql: `select to_json(${routine.name}(${given.join(", ")})) as answer`,
      params: names.map((name) => values[name]),
      writes: true,
    },
    trace,
  );
  return routine.result.parse(rows[0]?.[0]);
}
