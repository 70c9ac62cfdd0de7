import { webhook } from "../src/ops/webhook.ts";

/** Stripe's deliveries. */
export const fetch: ExportedHandlerFetchHandler<Env> = (request, env, context) => webhook.fetch(request, env, context);
