import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { invalid } from "../failure.ts";
import { newId } from "../ids.ts";
import { page } from "../list.ts";
import { paging, partOf } from "../route.ts";
import type { Route } from "../route.ts";

/** What a webhook endpoint is made of. */
export interface EndpointWish {
  url: string;
  /** Stripe makes one; a stack that must know it beforehand gives it. */
  secret?: string;
  enabled_events?: string[];
  /** The API version that its events are to have; the account's unless told. */
  api_version?: string | null;
  description?: string | null;
  metadata?: Record<string, string>;
}

/** Adds a webhook endpoint. Its secret is kept in the state; calls show it on creation only. */
function createEndpoint(account: Account, wish: EndpointWish): Stripe.WebhookEndpoint {
  if (!URL.canParse(wish.url) || !/^https?:$/.test(new URL(wish.url).protocol)) {
    throw invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid");
  }
  const endpoint: Stripe.WebhookEndpoint = {
    id: newId("we"),
    object: "webhook_endpoint",
    api_version: wish.api_version ?? null,
    application: null,
    created: account.seconds(),
    description: wish.description ?? null,
    enabled_events: checkEvents(wish.enabled_events ?? ["*"]),
    livemode: false,
    metadata: wish.metadata ?? {},
    secret: wish.secret ?? newId("whsec", 32),
    status: "enabled",
    url: wish.url,
  };
  account.state.endpoints.set(endpoint.id, endpoint);
  return endpoint;
}

/**
 * The endpoint of a url, or of a secret: a stack whose ports move from start to start keeps its endpoint by its secret,
 * and does not send to where it was before. Made when there is none.
 */
export function ensureEndpoint(account: Account, wish: EndpointWish): Stripe.WebhookEndpoint {
  const known = [...account.state.endpoints.values()].find(
    ({ url, secret }) => url === wish.url || (wish.secret !== undefined && secret === wish.secret),
  );
  if (known === undefined) {
    return createEndpoint(account, wish);
  }
  known.url = wish.url;
  known.secret = wish.secret ?? known.secret ?? newId("whsec", 32);
  known.enabled_events = checkEvents(wish.enabled_events ?? known.enabled_events);
  known.api_version = wish.api_version === undefined ? known.api_version : wish.api_version;
  return known;
}

function checkEvents(types: string[]): string[] {
  if (types.length === 0) {
    throw invalid("Missing required param: enabled_events.", "enabled_events", "parameter_missing");
  }
  const wrong = types.find((type) => !/^(?:\*|[a-z_0-9]+(?:\.[a-z_0-9]+)+)$/.test(type));
  if (wrong !== undefined) {
    throw invalid(`Invalid enabled_events: ${wrong}`, "enabled_events");
  }
  return types;
}

function withoutSecret(endpoint: Stripe.WebhookEndpoint): Stripe.WebhookEndpoint {
  const shown = { ...endpoint };
  delete shown.secret;
  return shown;
}

export const webhookEndpoints: Route[] = [
  {
    method: "POST",
    path: "/v1/webhook_endpoints",
    takes: "url enabled_events api_version description metadata connect",
    run({ account, params }) {
      const version = params.text("api_version") ?? null;
      if (version !== null && !/^\d{4}-\d{2}-\d{2}(?:\.[a-z]+)?$/.test(version)) {
        throw invalid(`Invalid API version: ${version}`, "api_version");
      }
      return createEndpoint(account, {
        url: params.required("url"),
        enabled_events: params.texts("enabled_events"),
        api_version: version,
        description: params.clearable("description") ?? null,
        metadata: params.metadata("metadata"),
      });
    },
  },
  {
    method: "GET",
    path: "/v1/webhook_endpoints/:id",
    takes: "",
    run: (call) => withoutSecret(call.account.find(call.account.state.endpoints, "webhook endpoint", partOf(call))),
  },
  {
    method: "POST",
    path: "/v1/webhook_endpoints/:id",
    takes: "url enabled_events description metadata disabled",
    run(call) {
      const { account, params } = call;
      const endpoint = account.find(account.state.endpoints, "webhook endpoint", partOf(call));
      endpoint.url = params.text("url") ?? endpoint.url;
      if (params.has("enabled_events")) {
        endpoint.enabled_events = checkEvents(params.texts("enabled_events"));
      }
      const description = params.clearable("description");
      endpoint.description = description === undefined ? endpoint.description : description;
      endpoint.metadata = params.metadata("metadata", endpoint.metadata);
      const disabled = params.flag("disabled");
      endpoint.status = disabled === undefined ? endpoint.status : disabled ? "disabled" : "enabled";
      return withoutSecret(endpoint);
    },
  },
  {
    method: "DELETE",
    path: "/v1/webhook_endpoints/:id",
    takes: "",
    run(call) {
      const { endpoints } = call.account.state;
      const { id } = call.account.find(endpoints, "webhook endpoint", partOf(call));
      endpoints.delete(id);
      return { id, object: "webhook_endpoint", deleted: true } satisfies Stripe.DeletedWebhookEndpoint;
    },
  },
  {
    method: "GET",
    path: "/v1/webhook_endpoints",
    takes: paging,
    run: (call) => page(call, "/v1/webhook_endpoints", [...call.account.state.endpoints.values()].map(withoutSecret)),
  },
];
