import * as z from "zod";
import { routine } from "../db/routine.ts";

/** What every sweep's routine takes and answers: law 8 of the design. */
function sweepRoutine(name: `${string}.${string}`) {
  return routine({
    name,
    context: {},
    args: z.strictObject({ batch: z.int() }),
    result: z.object({ processed: z.int(), failed: z.int(), more: z.boolean() }),
  });
}

/** A bounded, repeatable piece of housekeeping. */
export interface Sweep {
  /** As in ops.sweep: the routine's name without its schema. */
  name: string;
  interval_seconds: number;
  /** Rows of one statement. */
  batch: number;
  /** Milliseconds after which a run begins no further statement. */
  budget_ms: number;
  routine: ReturnType<typeof sweepRoutine>;
}

/** Declares a sweep: batches of 100, within 15 seconds a run. */
export function sweep(domain: string, name: string, interval_seconds: number): Sweep {
  return { name, interval_seconds, batch: 100, budget_ms: 15_000, routine: sweepRoutine(`${domain}.${name}`) };
}
