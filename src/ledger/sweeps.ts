import { sweep } from "../sweeps/sweep.ts";

/** Holds and lots end by the minute; nothing depends on it, for a routine never counts what has expired. */
export const sweeps = [sweep("ledger", "holds_expire", 60), sweep("ledger", "lots_expire", 60)];
