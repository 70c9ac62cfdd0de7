import { webhookPath } from "../src/ops/webhook.ts";
import { fetch as api } from "./api.ts";
import { scheduled } from "./cron.ts";
import { fetch as stripe } from "./stripe.ts";

const fetch: ExportedHandlerFetchHandler<Env> = (request, env, context) =>
  new URL(request.url).pathname === webhookPath ? stripe(request, env, context) : api(request, env, context);

/** The Worker: HTTPS, Stripe's deliveries and the Cron Trigger. */
export default { fetch, scheduled } satisfies ExportedHandler<Env>;
