import type Stripe from "stripe";
import { collect, finalize, voidInvoice } from "../billing/invoices.ts";
import { declined, invalid } from "../failure.ts";
import { idOf } from "../ids.ts";
import { page } from "../list.ts";
import { paging } from "../route.ts";
import type { Call, Route } from "../route.ts";

const invoiceOf = ({ account, path }: Call): Stripe.Invoice =>
  account.find(account.state.invoices, "invoice", path["id"] ?? "");

export const invoices: Route[] = [
  { method: "GET", path: "/v1/invoices/:id", takes: "", run: invoiceOf },
  {
    method: "GET",
    path: "/v1/invoices/:id/lines",
    takes: paging,
    run(call) {
      const { id } = invoiceOf(call);
      return page(call, `/v1/invoices/${id}/lines`, (call.account.state.invoice_lines.get(id) ?? []).toReversed());
    },
  },
  {
    method: "POST",
    path: "/v1/invoices/:id/pay",
    takes: "payment_method off_session",
    run(call) {
      const invoice = invoiceOf(call);
      if (invoice.status === "paid") {
        throw invalid("Invoice is already paid", undefined, "invoice_already_paid");
      }
      if (invoice.status === "void") {
        throw invalid("Invoice is voided and cannot be paid", undefined, "invoice_not_editable");
      }
      if (invoice.status === "draft") {
        finalize(call.account, invoice);
      }
      if (!collect(call.account, invoice)) {
        throw declined();
      }
      return invoice;
    },
  },
  {
    method: "POST",
    path: "/v1/invoices/:id/finalize",
    takes: "auto_advance",
    run(call) {
      const invoice = invoiceOf(call);
      if (invoice.status !== "draft") {
        throw invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.");
      }
      finalize(call.account, invoice);
      return invoice;
    },
  },
  {
    method: "POST",
    path: "/v1/invoices/:id/void",
    takes: "",
    run(call) {
      const invoice = invoiceOf(call);
      voidInvoice(call.account, invoice);
      return invoice;
    },
  },
  {
    method: "GET",
    path: "/v1/invoices",
    takes: `${paging} customer subscription status created`,
    run(call) {
      const { account, params } = call;
      const [customer, subscription] = [params.text("customer"), params.text("subscription")];
      const status = params.text("status");
      const found = [...account.state.invoices.values()].filter(
        (invoice) =>
          (customer === undefined || invoice.customer === customer) &&
          (subscription === undefined || idOf(invoice.parent?.subscription_details?.subscription) === subscription) &&
          (status === undefined || invoice.status === status),
      );
      return page(call, "/v1/invoices", found);
    },
  },
];
