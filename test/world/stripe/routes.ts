import { account } from "./resources/account.ts";
import { charges } from "./resources/charges.ts";
import { checkoutSessions } from "./resources/checkout-sessions.ts";
import { customers } from "./resources/customers.ts";
import { disputes } from "./resources/disputes.ts";
import { events } from "./resources/events.ts";
import { invoicePayments } from "./resources/invoice-payments.ts";
import { invoices } from "./resources/invoices.ts";
import { paymentIntents } from "./resources/payment-intents.ts";
import { portalSessions } from "./resources/portal-sessions.ts";
import { prices } from "./resources/prices.ts";
import { products } from "./resources/products.ts";
import { refunds } from "./resources/refunds.ts";
import { subscriptionSchedules } from "./resources/subscription-schedules.ts";
import { subscriptions } from "./resources/subscriptions.ts";
import { webhookEndpoints } from "./resources/webhook-endpoints.ts";
import type { Route } from "./route.ts";

const routes: Route[] = [
  account,
  customers,
  products,
  prices,
  webhookEndpoints,
  checkoutSessions,
  subscriptions,
  subscriptionSchedules,
  invoices,
  invoicePayments,
  paymentIntents,
  charges,
  refunds,
  disputes,
  portalSessions,
  events,
].flat();

/** The route of a call, and what its path's `:name` parts are. Of two that fit, the first: `/search` before `/:id`. */
export function findRoute(method: string, path: string): { route: Route; parts: Record<string, string> } | undefined {
  const asked = path.split("/");
  for (const route of routes) {
    const names = route.path.split("/");
    if (route.method === method && names.length === asked.length) {
      const parts: Record<string, string> = {};
      const fits = names.every((name, i) => {
        const part = asked[i] ?? "";
        if (!name.startsWith(":")) {
          return name === part;
        }
        parts[name.slice(1)] = decodeURIComponent(part);
        return part !== "";
      });
      if (fits) {
        return { route, parts };
      }
    }
  }
  return undefined;
}
