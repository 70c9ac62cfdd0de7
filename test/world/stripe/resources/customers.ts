import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { missing } from "../failure.ts";
import { newId } from "../ids.ts";
import { page } from "../list.ts";
import { Params } from "../params.ts";
import { paging, partOf } from "../route.ts";
import type { Call, Route } from "../route.ts";
import { cancel } from "../billing/ending.ts";
import { matches } from "./search.ts";

const fields = "email name description phone metadata preferred_locales";

/** Makes a customer. */
function createCustomer(account: Account, params: Params): Stripe.Customer {
  const id = newId("cus", 14);
  const customer: Stripe.Customer = {
    id,
    object: "customer",
    address: null,
    balance: 0,
    created: account.seconds(),
    currency: null,
    customer_account: null,
    default_source: null,
    delinquent: false,
    description: params.clearable("description") ?? null,
    discount: null,
    email: params.clearable("email") ?? null,
    invoice_prefix: id.slice(-8).toUpperCase(),
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
    livemode: false,
    metadata: params.metadata("metadata"),
    name: params.clearable("name") ?? null,
    next_invoice_sequence: 1,
    phone: params.clearable("phone") ?? null,
    preferred_locales: params.texts("preferred_locales"),
    shipping: null,
    tax_exempt: "none",
    test_clock: null,
  };
  account.state.customers.set(id, customer);
  account.emit("customer.created", customer);
  return customer;
}

/** A customer whom something is to be made for: not one who was deleted. */
export function liveCustomer(account: Account, id: string, param = "customer"): Stripe.Customer {
  return account.find(account.state.customers, "customer", id, param);
}

/** Makes the customer whom Checkout makes when the session named none. */
export function customerFromCheckout(account: Account, email: string | null): Stripe.Customer {
  return createCustomer(account, Params.of(new URLSearchParams(email === null ? {} : { email })));
}

/** Deletes a customer for ever, and cancels at once what they subscribe to. */
function deleteCustomer(account: Account, id: string): Stripe.DeletedCustomer {
  const customer = account.find(account.state.customers, "customer", id);
  for (const subscription of account.state.subscriptions.values()) {
    if (subscription.customer === id && !["canceled", "incomplete_expired"].includes(subscription.status)) {
      cancel(account, subscription, "cancellation_requested");
    }
  }
  account.state.customers.delete(id);
  const deleted: Stripe.DeletedCustomer = { id, object: "customer", deleted: true };
  account.state.deleted_customers.set(id, deleted);
  account.emit("customer.deleted", customer);
  return deleted;
}

function updateCustomer(call: Call): Stripe.Customer {
  const { account, params } = call;
  const customer = account.find(account.state.customers, "customer", partOf(call));
  account.change("customer.updated", customer, () => {
    for (const field of ["email", "name", "description", "phone"] as const) {
      const value = params.clearable(field);
      if (value !== undefined) {
        customer[field] = value;
      }
    }
    customer.metadata = params.metadata("metadata", customer.metadata);
  });
  return customer;
}

export const customers: Route[] = [
  { method: "POST", path: "/v1/customers", takes: fields, run: (call) => createCustomer(call.account, call.params) },
  {
    method: "GET",
    path: "/v1/customers/search",
    takes: "query limit page",
    run(call) {
      const { account, params } = call;
      const [query, limit] = [params.required("query"), params.integer("limit") ?? 10];
      // Search lags behind: what was just made is not found yet, and whoever relies on it makes a second one.
      const indexed = account.now() - account.policies.search_delay_ms;
      const found = [...account.state.customers.values()]
        .filter((customer) => customer.created * 1000 <= indexed && matches(query, customer))
        .toReversed();
      const from = Number(params.text("page") ?? 0);
      const more = found.length > from + limit;
      return {
        object: "search_result",
        url: "/v1/customers/search",
        has_more: more,
        next_page: more ? String(from + limit) : null,
        data: found.slice(from, from + limit),
      } satisfies Stripe.ApiSearchResult<Stripe.Customer>;
    },
  },
  {
    method: "GET",
    path: "/v1/customers/:id",
    takes: "",
    run(call) {
      const { customers: live, deleted_customers: gone } = call.account.state;
      const found = live.get(partOf(call)) ?? gone.get(partOf(call));
      if (found === undefined) {
        throw missing("customer", partOf(call));
      }
      return found;
    },
  },
  { method: "POST", path: "/v1/customers/:id", takes: fields, run: updateCustomer },
  {
    method: "DELETE",
    path: "/v1/customers/:id",
    takes: "",
    run: (call) => deleteCustomer(call.account, partOf(call)),
  },
  {
    method: "GET",
    path: "/v1/customers",
    takes: `${paging} email created`,
    run(call) {
      const email = call.params.text("email");
      const found = [...call.account.state.customers.values()].filter(
        (customer) => email === undefined || customer.email === email,
      );
      return page(call, "/v1/customers", found);
    },
  },
];
