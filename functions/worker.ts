import { fetch } from "./api.ts";
import { scheduled } from "./cron.ts";

/** The Worker: HTTPS and the Cron Trigger. */
export default { fetch, scheduled } satisfies ExportedHandler<Env>;
