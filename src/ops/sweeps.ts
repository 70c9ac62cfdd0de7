import { sweep } from "../sweeps/sweep.ts";

/** Retention: stored answers and sweep runs go after 35 days. */
export const sweeps = [sweep("ops", "requests_expire", 300), sweep("ops", "sweep_runs_expire", 3600)];
