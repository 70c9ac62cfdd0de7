import { page } from "../list.ts";
import { paging, partOf } from "../route.ts";
import type { Route } from "../route.ts";

export const paymentIntents: Route[] = [
  {
    method: "GET",
    path: "/v1/payment_intents/:id",
    takes: "",
    run: (call) => call.account.find(call.account.state.payment_intents, "payment_intent", partOf(call)),
  },
  {
    method: "GET",
    path: "/v1/payment_intents",
    takes: `${paging} customer created`,
    run(call) {
      const customer = call.params.text("customer");
      const found = [...call.account.state.payment_intents.values()].filter(
        (intent) => customer === undefined || intent.customer === customer,
      );
      return page(call, "/v1/payment_intents", found);
    },
  },
];
