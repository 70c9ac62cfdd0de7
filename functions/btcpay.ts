import { btcpayWebhook } from "../src/ops/webhook.ts";

/** BTCPay Server's deliveries. */
export const fetch: ExportedHandlerFetchHandler<Env> = (request, env, context) =>
  btcpayWebhook.fetch(request, env, context);
