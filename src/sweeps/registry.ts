import type { Sweep } from "./sweep.ts";
import { sweeps as ledger } from "../ledger/sweeps.ts";
import { sweeps as ops } from "../ops/sweeps.ts";

/** Every sweep of every domain. A name is for ever: `ops.sweep` and alarms know a sweep by it. */
export const registry: readonly Sweep[] = [...ledger, ...ops];
