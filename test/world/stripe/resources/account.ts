import type Stripe from "stripe";
import type { Route } from "../route.ts";

export const account: Route[] = [
  {
    method: "GET",
    path: "/v1/account",
    takes: "",
    run: ({ account: { id } }) =>
      ({
        id,
        object: "account",
        charges_enabled: true,
        country: "US",
        created: 1_700_000_000,
        default_currency: "usd",
        details_submitted: true,
        email: "owner@example.com",
        metadata: {},
        payouts_enabled: true,
        type: "standard",
      }) satisfies Stripe.Account,
  },
];
