import type Stripe from "stripe";
import { invalid, Failure } from "../failure.ts";
import type { Account } from "../account.ts";
import { newId } from "../ids.ts";
import { page } from "../list.ts";
import type { Params } from "../params.ts";
import { paging, partOf } from "../route.ts";
import type { Route } from "../route.ts";

const fields = "name active description metadata unit_label statement_descriptor url";

/** Makes a product, as a call or an inline price asks for it. */
export function createProduct(account: Account, params: Params): Stripe.Product {
  const id = params.text("id") ?? newId("prod", 14);
  if (account.state.products.has(id)) {
    throw new Failure(400, {
      type: "invalid_request_error",
      code: "resource_already_exists",
      message: "Product already exists.",
      param: "id",
    });
  }
  const product: Stripe.Product = {
    id,
    object: "product",
    active: params.flag("active") ?? true,
    created: account.seconds(),
    default_price: null,
    description: params.clearable("description") ?? null,
    images: [],
    livemode: false,
    marketing_features: [],
    metadata: params.metadata("metadata"),
    name: params.required("name"),
    package_dimensions: null,
    shippable: null,
    statement_descriptor: params.clearable("statement_descriptor") ?? null,
    tax_code: null,
    tax_details: null,
    type: "service",
    unit_label: params.clearable("unit_label") ?? null,
    updated: account.seconds(),
    url: params.clearable("url") ?? null,
  };
  account.state.products.set(id, product);
  account.emit("product.created", product);
  return product;
}

export const products: Route[] = [
  {
    method: "POST",
    path: "/v1/products",
    takes: `id ${fields}`,
    run: (call) => createProduct(call.account, call.params),
  },
  {
    method: "GET",
    path: "/v1/products/:id",
    takes: "",
    run: (call) => call.account.find(call.account.state.products, "product", partOf(call)),
  },
  {
    method: "POST",
    path: "/v1/products/:id",
    takes: `${fields} default_price`,
    run(call) {
      const { account, params } = call;
      const product = account.find(account.state.products, "product", partOf(call));
      const price = params.clearable("default_price");
      if (
        typeof price === "string" &&
        account.find(account.state.prices, "price", price, "default_price").product !== product.id
      ) {
        throw invalid("The price does not belong to this product.", "default_price");
      }
      account.change("product.updated", product, () => {
        product.name = params.text("name") ?? product.name;
        product.active = params.flag("active") ?? product.active;
        product.metadata = params.metadata("metadata", product.metadata);
        for (const field of ["description", "unit_label", "statement_descriptor", "url"] as const) {
          const value = params.clearable(field);
          product[field] = value === undefined ? (product[field] ?? null) : value;
        }
        if (price !== undefined) {
          product.default_price = price;
        }
      });
      product.updated = account.seconds();
      return product;
    },
  },
  {
    method: "GET",
    path: "/v1/products",
    takes: `${paging} active ids created`,
    run(call) {
      const { account, params } = call;
      const [active, ids] = [params.flag("active"), params.texts("ids")];
      const found = [...account.state.products.values()].filter(
        (product) =>
          (active === undefined || product.active === active) && (!params.has("ids") || ids.includes(product.id)),
      );
      return page(call, "/v1/products", found);
    },
  },
];
