import { settings } from "../src/env.ts";
import { tick } from "../src/sweeps/run.ts";

/** The Cron Trigger, once a minute: the registry's intervals decide what is due. */
export const scheduled: ExportedHandlerScheduledHandler<Env> = async (_event, env) => {
  await tick(settings(env));
};
