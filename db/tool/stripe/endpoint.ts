import type { Stripe } from "stripe";
import type { StripeAccount } from "../../../src/env.ts";
import { ask, stripePackage } from "../../../src/outside/stripe/client.ts";
import { webhookPath } from "../../../src/ops/webhook.ts";
import { eventTypes } from "../../../src/outside/stripe/fact.ts";

/**
 * Makes the endpoint that Stripe sends its events to, with the package's version of the API and the events that have an effect;
 * its secret is told once, here. One that is there is given what it lacks. Done again, it changes nothing.
 */
export async function makeEndpoint(
  account: StripeAccount,
  address: string,
  log: (line: string) => void,
): Promise<void> {
  const url = webhookUrl(address);
  const { API_VERSION } = await stripePackage();
  const all = await ask(account, (stripe) =>
    stripe.webhookEndpoints.list({ limit: 100 }).autoPagingToArray({ limit: 1000 }),
  );
  const ours = all.filter((endpoint) => endpoint.url === url);
  // An endpoint's version stays as it was made: after an update of the package there is a second one, until the first is deleted.
  const current = ours.find((endpoint) => endpoint.api_version === API_VERSION);
  if (current === undefined) {
    const made = await ask(account, (stripe) =>
      stripe.webhookEndpoints.create(
        { url, api_version: API_VERSION, enabled_events: wanted, description: "Tollgate" },
        { idempotencyKey: `tollgate:setup:${crypto.randomUUID()}` },
      ),
    );
    log(`endpoint ${made.id}  made: ${url}`);
    log(`STRIPE_WEBHOOK_SECRET=${made.secret ?? ""}`);
    log(
      "This is the only time that it is shown: give it to the Worker by npx wrangler secret put STRIPE_WEBHOOK_SECRET.",
    );
  } else if (!sameEvents(current.enabled_events)) {
    await ask(account, (stripe) =>
      stripe.webhookEndpoints.update(
        current.id,
        { enabled_events: wanted },
        { idempotencyKey: `tollgate:setup:${crypto.randomUUID()}` },
      ),
    );
    log(`endpoint ${current.id}  sends what Tollgate reads`);
  }
  if (current?.status === "disabled") log(`endpoint ${current.id}  is disabled at Stripe`);
  for (const old of ours.filter((endpoint) => endpoint.api_version !== API_VERSION)) {
    log(
      `endpoint ${old.id}  speaks ${old.api_version ?? "the account's version"} and not ${API_VERSION}: keep its secret as ` +
        "STRIPE_WEBHOOK_SECRET_OLD, and delete it at Stripe once the other one delivers.",
    );
  }
}

type EnabledEvent = Stripe.WebhookEndpointCreateParams.EnabledEvent;

/** The list is the fact-maker's, whose types are text; a name that Stripe does not have is refused by Stripe. */
const wanted = eventTypes.filter((type): type is EnabledEvent => eventTypes.includes(type));

const sameEvents = (events: readonly string[]) => events.toSorted().join() === wanted.toSorted().join();

/** The Worker's address, or the whole address of its webhook, as Stripe is to call it. */
function webhookUrl(address: string): string {
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new Error(`${address} is no address: give the Worker's, as https://tollgate.example.workers.dev`);
  }
  if (url.pathname === "/") url.pathname = webhookPath;
  return url.href;
}
