import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { invalid } from "../failure.ts";
import { newId } from "../ids.ts";
import { page } from "../list.ts";
import type { Params } from "../params.ts";
import { paging, partOf } from "../route.ts";
import type { Route } from "../route.ts";
import { createProduct } from "./products.ts";

const intervals = ["day", "week", "month", "year"] as const;

/** On the wire a decimal is a text; only the SDK makes an object of it. */
export function decimalOf(amount: number): Stripe.Decimal {
  const text: Stripe.Decimal = JSON.parse(`"${amount}"`);
  return text;
}

/** Makes a price, as a call or a line's `price_data` asks for it. */
export function createPrice(account: Account, params: Params): Stripe.Price {
  const amount = params.integer("unit_amount");
  if (amount === undefined || amount < 0) {
    throw invalid("Invalid non-negative integer", params.nameOf("unit_amount"));
  }
  const currency = params.required("currency").toLowerCase();
  if (!/^[a-z]{3}$/.test(currency)) {
    throw invalid(`Invalid currency: ${currency}`, params.nameOf("currency"));
  }
  const recurring = params.inside("recurring");
  const rhythm = recurring === undefined ? null : recurringOf(recurring);
  refuseTakenKey(account, params);
  const made = params.inside("product_data");
  const product =
    made === undefined
      ? account.find(account.state.products, "product", params.required("product"), params.nameOf("product"))
      : createProduct(account, made);
  const price: Stripe.Price = {
    id: newId("price"),
    object: "price",
    active: params.flag("active") ?? true,
    billing_scheme: "per_unit",
    created: account.seconds(),
    currency,
    custom_unit_amount: null,
    livemode: false,
    lookup_key: takeLookupKey(account, params) ?? null,
    metadata: params.metadata("metadata"),
    nickname: params.clearable("nickname") ?? null,
    product: product.id,
    recurring: rhythm,
    tax_behavior: params.one("tax_behavior", ["exclusive", "inclusive", "unspecified"]) ?? "unspecified",
    tiers_mode: null,
    transform_quantity: null,
    type: rhythm === null ? "one_time" : "recurring",
    unit_amount: amount,
    unit_amount_decimal: decimalOf(amount),
  };
  account.state.prices.set(price.id, price);
  account.emit("price.created", price);
  return price;
}

function recurringOf(params: Params): Stripe.Price.Recurring {
  params.required("interval");
  const count = params.integer("interval_count") ?? 1;
  const interval = params.one("interval", intervals) ?? "month";
  const most = { day: 1095, week: 156, month: 36, year: 3 }[interval];
  if (count < 1 || count > most) {
    throw invalid("Interval count must be at least 1 and at most three years.", params.nameOf("interval_count"));
  }
  return {
    interval,
    interval_count: count,
    meter: null,
    trial_period_days: null,
    usage_type: params.one("usage_type", ["licensed"]) ?? "licensed",
  };
}

/** The price that has the lookup key that a call wants. */
function holderOf(account: Account, params: Params, own?: Stripe.Price): Stripe.Price | undefined {
  const key = params.clearable("lookup_key") ?? undefined;
  return [...account.state.prices.values()].find(
    ({ id, lookup_key: held }) => held !== null && held === key && id !== own?.id,
  );
}

/** A lookup key names one price: another's is refused, unless the call says that it is to be taken over. */
function refuseTakenKey(account: Account, params: Params, own?: Stripe.Price): void {
  const holder = holderOf(account, params, own);
  if (holder !== undefined && params.flag("transfer_lookup_key") !== true) {
    throw invalid(`A price (\`${holder.id}\`) already uses that lookup key.`, "lookup_key");
  }
}

/** The lookup key of a call, taken away from whoever has it. Undefined: the call names none. */
function takeLookupKey(account: Account, params: Params, own?: Stripe.Price): string | null | undefined {
  const holder = holderOf(account, params, own);
  if (holder !== undefined) {
    account.change("price.updated", holder, () => {
      holder.lookup_key = null;
    });
  }
  return params.clearable("lookup_key");
}

export const prices: Route[] = [
  {
    method: "POST",
    path: "/v1/prices",
    takes:
      "currency unit_amount product product_data recurring lookup_key transfer_lookup_key active metadata nickname tax_behavior",
    run: (call) => createPrice(call.account, call.params),
  },
  {
    method: "GET",
    path: "/v1/prices/:id",
    takes: "",
    run: (call) => call.account.find(call.account.state.prices, "price", partOf(call)),
  },
  {
    method: "POST",
    path: "/v1/prices/:id",
    takes: "active metadata nickname lookup_key transfer_lookup_key",
    run(call) {
      const { account, params } = call;
      const price = account.find(account.state.prices, "price", partOf(call));
      refuseTakenKey(account, params, price);
      const key = takeLookupKey(account, params, price);
      account.change("price.updated", price, () => {
        price.active = params.flag("active") ?? price.active;
        price.metadata = params.metadata("metadata", price.metadata);
        const nickname = params.clearable("nickname");
        price.nickname = nickname === undefined ? price.nickname : nickname;
        price.lookup_key = key === undefined ? price.lookup_key : key;
      });
      return price;
    },
  },
  {
    method: "GET",
    path: "/v1/prices",
    takes: `${paging} active currency product type lookup_keys recurring created`,
    run(call) {
      const { account, params } = call;
      const keys = params.texts("lookup_keys");
      const [active, type] = [params.flag("active"), params.one("type", ["one_time", "recurring"])];
      const [product, currency] = [params.text("product"), params.text("currency")];
      const interval = params.inside("recurring")?.text("interval");
      const found = [...account.state.prices.values()].filter(
        (price) =>
          (active === undefined || price.active === active) &&
          (type === undefined || price.type === type) &&
          (product === undefined || price.product === product) &&
          (currency === undefined || price.currency === currency) &&
          (interval === undefined || price.recurring?.interval === interval) &&
          (!params.has("lookup_keys") || (price.lookup_key !== null && keys.includes(price.lookup_key))),
      );
      return page(call, "/v1/prices", found);
    },
  },
];
