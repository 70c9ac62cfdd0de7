import { Hono } from "hono";
import { type Settings, settings } from "../env.ts";
import { readBytes } from "../http/body.ts";
import type { AppContext, AppEnv } from "../http/context.ts";
import { notFound, onError } from "../http/failure.ts";
import { Problem } from "../http/problem.ts";
import { describe, record } from "../http/request.ts";
import { arrivalOf } from "../outside/stripe/event.ts";
import { verifiedEvent } from "../outside/stripe/signature.ts";
import { receive, report } from "./inbox.ts";

/** Where Stripe delivers its events. */
export const webhookPath = "/webhooks/stripe";

/**
 * Stripe's deliveries. 200 says that the event is stored, whatever became of it; 4xx that it is none of Stripe's; 5xx that we
 * failed, and Stripe is to send it again. It asks nobody outside.
 */
export const webhook = new Hono<AppEnv>();
webhook.use(record);
webhook.post(webhookPath, (c) => deliver(c));
webhook.onError(onError);
webhook.notFound(notFound(webhook));

async function deliver(c: AppContext): Promise<Response> {
  const trace = c.get("trace");
  trace.route = webhookPath;
  const bytes = await readBytes(c.req.raw);
  const { database, stripe } = settings(c.env);
  if (stripe === null || stripe.webhook_secrets.length === 0) throw await unconfigured(c, database);
  const event = await verifiedEvent(bytes, c.req.header("Stripe-Signature") ?? null, stripe.webhook_secrets);
  const arrival = await arrivalOf(event, stripe);
  trace.about = { event: arrival.id, type: arrival.type };
  const { state, duplicate } = await receive(database, arrival, new TextDecoder().decode(bytes), trace);
  trace.about = { ...trace.about, state, duplicate };
  return c.json({ received: true, state, duplicate }, 200);
}

/** Nobody could be told from anybody else: nothing is taken, and a person must hear of it. */
async function unconfigured(c: AppContext, database: Settings["database"]): Promise<Problem> {
  const alarm = { code: "stripe_not_configured", subject: "webhook", detail: {} };
  await report(database, alarm, c.get("trace")).catch((error: unknown) => {
    console.error(JSON.stringify({ alarm: alarm.code, error: describe(error) }));
  });
  const cause = new Error(
    "a delivery came, and Stripe's secret key or its webhook endpoint's secret is not configured",
  );
  return new Problem("misconfigured", {}, { cause });
}
