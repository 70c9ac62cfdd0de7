import { sweep } from "../sweeps/sweep.ts";

/**
 * Holds and lots end by the minute; nothing depends on it, for a routine never counts what has expired. Retention: holds go 400
 * days after their end.
 */
export const sweeps = [
  sweep("ledger", "holds_expire", 60),
  sweep("ledger", "lots_expire", 60),
  sweep("ledger", "holds_retire", 3600),
];
