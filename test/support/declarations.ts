import type { Routine } from "../../src/db/routine.ts";
import { calls as ledger } from "../../src/ledger/store.ts";
import { calls as ops } from "../../src/ops/store.ts";
import { calls as people } from "../../src/people/store.ts";
import { calls as sweeps } from "../../src/sweeps/run.ts";

/** Every call that the Worker makes by a declaration: all stores' and the sweeps'. */
export const declarations: readonly Routine[] = [...ledger, ...ops, ...people, ...sweeps];

/** One of them. */
export function declared(name: string): Routine {
  const found = declarations.find((call) => call.name === name);
  if (found === undefined) throw new Error(`the Worker calls no ${name}`);
  return found;
}
