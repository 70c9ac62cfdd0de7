import { Hono } from "hono";
import { type Settings, settings } from "../env.ts";
import { readBytes } from "../http/body.ts";
import type { AppContext, AppEnv } from "../http/context.ts";
import { notFound, onError } from "../http/failure.ts";
import { Problem } from "../http/problem.ts";
import { describe, record } from "../http/request.ts";
import type { Arrival } from "../outside/arrival.ts";
import { arrivalOf as arrivalAtBtcpay } from "../outside/btcpay/event.ts";
import { verifiedDelivery } from "../outside/btcpay/signature.ts";
import { arrivalOf } from "../outside/stripe/event.ts";
import { verifiedEvent } from "../outside/stripe/signature.ts";
import { type Provider, receive, report } from "./inbox.ts";

/** Where Stripe delivers its events. */
export const webhookPath = "/webhooks/stripe";

/** Where BTCPay Server does. */
export const btcpayPath = "/webhooks/btcpay";

/** How a provider's deliveries are told from anybody else's. */
interface Sender<Account> {
  provider: Provider;
  path: string;
  header: string;
  /** What is to be configured, for whoever reads the log. */
  wants: string;
  account(settings: Settings): Account | null;
  /** Throws `Problem` for what is not signed, or no event. */
  read(bytes: Uint8Array, header: string | null, account: Account): Promise<Arrival>;
}

/**
 * A way in for deliveries. 200 says that the event is stored, whatever became of it; 4xx that it is none of the provider's; 5xx that
 * we failed, and the provider is to send it again. It asks nobody outside.
 */
function wayIn<Account extends { readonly webhook_secrets: readonly string[] }>(sender: Sender<Account>): Hono<AppEnv> {
  const way = new Hono<AppEnv>();
  way.use(record);
  way.post(sender.path, (c) => deliver(c, sender));
  way.onError(onError);
  way.notFound(notFound(way));
  return way;
}

export const webhook = wayIn({
  provider: "stripe",
  path: webhookPath,
  header: "Stripe-Signature",
  wants: "Stripe's secret key or its webhook endpoint's secret",
  account: ({ stripe }) => stripe,
  read: async (bytes, header, account) =>
    arrivalOf(await verifiedEvent(bytes, header, account.webhook_secrets), account),
});

export const btcpayWebhook = wayIn({
  provider: "btcpay",
  path: btcpayPath,
  header: "BTCPay-Sig",
  wants: "BTCPay's address, API key, store or webhook secret",
  account: ({ btcpay }) => btcpay,
  read: async (bytes, header, account) =>
    arrivalAtBtcpay(await verifiedDelivery(bytes, header, account.webhook_secrets), account),
});

async function deliver<Account extends { readonly webhook_secrets: readonly string[] }>(
  c: AppContext,
  sender: Sender<Account>,
): Promise<Response> {
  const trace = c.get("trace");
  trace.route = sender.path;
  const bytes = await readBytes(c.req.raw);
  const bound = settings(c.env);
  const account = sender.account(bound);
  if (account === null || account.webhook_secrets.length === 0) throw await unconfigured(c, bound.database, sender);
  const arrival = await sender.read(bytes, c.req.header(sender.header) ?? null, account);
  trace.about = { event: arrival.id, type: arrival.type };
  const payload = new TextDecoder().decode(bytes);
  const { state, duplicate } = await receive(bound.database, sender.provider, arrival, payload, trace);
  trace.about = { ...trace.about, state, duplicate };
  return c.json({ received: true, state, duplicate }, 200);
}

/** Nobody could be told from anybody else: nothing is taken, and a person must hear of it. */
async function unconfigured(
  c: AppContext,
  database: Settings["database"],
  { provider, wants }: { provider: Provider; wants: string },
): Promise<Problem> {
  const alarm = { code: `${provider}_not_configured`, subject: "webhook", detail: {} };
  await report(database, alarm, c.get("trace")).catch((error: unknown) => {
    console.error(JSON.stringify({ alarm: alarm.code, error: describe(error) }));
  });
  const cause = new Error(`a delivery came, and ${wants} is not configured`);
  return new Problem("misconfigured", {}, { cause });
}
