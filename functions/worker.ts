import { btcpayPath, webhookPath } from "../src/ops/webhook.ts";
import { fetch as api } from "./api.ts";
import { fetch as btcpay } from "./btcpay.ts";
import { scheduled } from "./cron.ts";
import { fetch as stripe } from "./stripe.ts";

const deliveries: Readonly<Record<string, typeof api>> = { [webhookPath]: stripe, [btcpayPath]: btcpay };

const fetch: ExportedHandlerFetchHandler<Env> = (request, env, context) =>
  (deliveries[new URL(request.url).pathname] ?? api)(request, env, context);

/** The Worker: HTTPS, the providers' deliveries and the Cron Trigger. */
export default { fetch, scheduled } satisfies ExportedHandler<Env>;
