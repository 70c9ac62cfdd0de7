import { sweeps as access } from "../access/sweeps.ts";
import { sweeps as billing } from "../billing/sweeps.ts";
import { sweeps as ledger } from "../ledger/sweeps.ts";
import { sweeps as messages } from "../messages/sweeps.ts";
import { sweeps as ops } from "../ops/sweeps.ts";
import { sweeps as payments } from "../payments/sweeps.ts";
import type { Sweep } from "./sweep.ts";

/** Every sweep of every domain. A name is for ever: `ops.sweep` and alarms know a sweep by it. */
export const registry: readonly Sweep[] = [...ledger, ...billing, ...payments, ...access, ...messages, ...ops];
