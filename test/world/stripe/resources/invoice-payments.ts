import { invalid } from "../failure.ts";
import { page } from "../list.ts";
import { paging, partOf } from "../route.ts";
import type { Route } from "../route.ts";

export const invoicePayments: Route[] = [
  {
    method: "GET",
    path: "/v1/invoice_payments/:id",
    takes: "",
    run: (call) => call.account.find(call.account.state.invoice_payments, "invoice_payment", partOf(call)),
  },
  {
    method: "GET",
    path: "/v1/invoice_payments",
    takes: `${paging} invoice payment status created`,
    run(call) {
      const { account, params } = call;
      const [invoice, status, payment] = [params.text("invoice"), params.text("status"), params.inside("payment")];
      if (payment !== undefined && payment.required("type") !== "payment_intent") {
        throw invalid("Invalid payment[type]: the stand-in knows payment_intent.", "payment[type]");
      }
      const intent = payment?.required("payment_intent");
      const found = [...account.state.invoice_payments.values()].filter(
        (one) =>
          (invoice === undefined || one.invoice === invoice) &&
          (status === undefined || one.status === status) &&
          (intent === undefined || one.payment.payment_intent === intent),
      );
      return page(call, "/v1/invoice_payments", found);
    },
  },
];
