import type Stripe from "stripe";
import { newId } from "../ids.ts";
import type { Route } from "../route.ts";
import { liveCustomer } from "./customers.ts";

export const portalSessions: Route[] = [
  {
    method: "POST",
    path: "/v1/billing_portal/sessions",
    takes: "customer return_url configuration locale",
    run({ account, params }) {
      const id = newId("bps");
      const session: Stripe.BillingPortal.Session = {
        id,
        object: "billing_portal.session",
        configuration: params.text("configuration") ?? "bpc_miniature",
        created: account.seconds(),
        customer: liveCustomer(account, params.required("customer")).id,
        customer_account: null,
        flow: null,
        livemode: false,
        locale: null,
        on_behalf_of: null,
        return_url: params.clearable("return_url") ?? null,
        url: `${account.url}/portal/${id}`,
      };
      account.state.portal_sessions.set(id, session);
      return session;
    },
  },
];
