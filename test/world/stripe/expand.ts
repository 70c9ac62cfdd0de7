import type { Account } from "./account.ts";
import { secretsOf } from "./billing/checkout.ts";
import { paymentList } from "./billing/invoices.ts";
import { invalid } from "./failure.ts";
import { isObject, jsonOf } from "./json.ts";
import type { Json } from "./json.ts";
import { whole } from "./list.ts";

/** Puts objects in the place of their ids, for each path of `expand[]`. The answer is a copy; the state stays as it is. */
export function expand(account: Account, answer: object, paths: string[]): object {
  const copy = jsonOf(answer);
  for (const path of paths) {
    const names = path.split(".");
    if (names.length > 4) {
      throw invalid("You cannot expand more than 4 levels of a property.", "expand");
    }
    expandInto(account, copy, names, path);
  }
  return copy;
}

function expandInto(account: Account, object: Json, [name = "", ...rest]: string[], path: string): void {
  const value = name in object ? object[name] : includable(account, object, name);
  if (value === undefined) {
    throw invalid(
      `This property cannot be expanded (${path}). You may want to try expanding another property.`,
      "expand",
    );
  }
  const expanded = Array.isArray(value) ? value.map((one) => expandOne(account, one)) : expandOne(account, value);
  object[name] = expanded;
  if (rest.length > 0) {
    for (const inner of Array.isArray(expanded) ? expanded : [expanded]) {
      if (isObject(inner)) {
        expandInto(account, inner, rest, path);
      }
    }
  }
}

/** The object of an id; anything else as it is. */
function expandOne(account: Account, value: unknown): unknown {
  if (typeof value !== "string") {
    return value;
  }
  const { state } = account;
  const found =
    state.customers.get(value) ??
    state.deleted_customers.get(value) ??
    state.products.get(value) ??
    state.prices.get(value) ??
    state.subscriptions.get(value) ??
    state.schedules.get(value) ??
    state.invoices.get(value) ??
    state.payment_intents.get(value) ??
    state.charges.get(value) ??
    state.sessions.get(value);
  return found === undefined ? value : structuredClone(found);
}

/** Lists that Stripe shows only when they are asked for. */
function includable(account: Account, object: Json, name: string): unknown {
  const [kind, id] = [String(object["object"]), String(object["id"])];
  const { state } = account;
  switch (`${kind}.${name}`) {
    case "invoice.payments":
      return structuredClone(paymentList(account, id));
    case "checkout.session.line_items": {
      const session = state.sessions.get(id);
      return whole(
        `/v1/checkout/sessions/${id}/line_items`,
        session === undefined ? [] : structuredClone(secretsOf(account, session).line_items),
      );
    }
    case "charge.refunds":
      return whole(
        `/v1/charges/${id}/refunds`,
        structuredClone([...state.refunds.values()].filter(({ charge }) => charge === id).toReversed()),
      );
    case "customer.subscriptions":
      return whole(
        `/v1/customers/${id}/subscriptions`,
        structuredClone([...state.subscriptions.values()].filter(({ customer }) => customer === id).toReversed()),
      );
    default:
      return undefined;
  }
}
