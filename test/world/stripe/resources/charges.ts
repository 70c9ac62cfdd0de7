import { page } from "../list.ts";
import { paging, partOf } from "../route.ts";
import type { Route } from "../route.ts";

export const charges: Route[] = [
  {
    method: "GET",
    path: "/v1/charges/:id",
    takes: "",
    run: (call) => call.account.find(call.account.state.charges, "charge", partOf(call)),
  },
  {
    method: "GET",
    path: "/v1/charges",
    takes: `${paging} customer payment_intent created`,
    run(call) {
      const [customer, intent] = [call.params.text("customer"), call.params.text("payment_intent")];
      const found = [...call.account.state.charges.values()].filter(
        (charge) =>
          (customer === undefined || charge.customer === customer) &&
          (intent === undefined || charge.payment_intent === intent),
      );
      return page(call, "/v1/charges", found);
    },
  },
];
