import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { expire, secretsOf } from "../billing/checkout.ts";
import { quantityOf } from "../billing/subscription-shape.ts";
import { day } from "../calendar.ts";
import { invalid } from "../failure.ts";
import { idOf, newId } from "../ids.ts";
import { page } from "../list.ts";
import type { Params } from "../params.ts";
import { paging, partOf } from "../route.ts";
import type { Call, Route } from "../route.ts";
import type { SessionSecrets } from "../state.ts";
import { sessionShape } from "./checkout-session-shape.ts";
import { liveCustomer } from "./customers.ts";
import { createPrice } from "./prices.ts";

const creations = ["always", "if_required"] as const;

function lineItems(account: Account, params: Params, mode: "payment" | "subscription"): Stripe.LineItem[] {
  const lines = params.each("line_items").map((line) => lineItem(account, line));
  if (lines.length === 0) {
    throw invalid("Missing required param: line_items.", "line_items", "parameter_missing");
  }
  const recurs = lines.some(({ price }) => price?.recurring !== null);
  if (mode === "payment" && recurs) {
    throw invalid(
      "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.",
      "line_items",
    );
  }
  if (mode === "subscription" && lines.some(({ price }) => price?.recurring === null)) {
    throw invalid(
      recurs
        ? "The stand-in takes no one-time price in a subscription's session."
        : "You must provide at least one recurring price in `subscription` mode when using prices.",
      "line_items",
    );
  }
  if (new Set(lines.map(({ currency }) => currency)).size > 1) {
    throw invalid("All line items must have the same currency.", "line_items");
  }
  return lines;
}

function lineItem(account: Account, params: Params): Stripe.LineItem {
  const made = params.inside("price_data");
  const price =
    made === undefined
      ? account.find(account.state.prices, "price", params.required("price"), params.nameOf("price"))
      : createPrice(account, made);
  if (!price.active) {
    throw invalid("The price specified is inactive. This field only accepts active prices.", params.nameOf("price"));
  }
  const quantity = quantityOf(params);
  if (quantity === 0) {
    throw invalid("This value must be greater than or equal to 1.", params.nameOf("quantity"));
  }
  const amount = (price.unit_amount ?? 0) * quantity;
  return {
    id: newId("li"),
    object: "item",
    adjustable_quantity: null,
    amount_discount: 0,
    amount_subtotal: amount,
    amount_tax: 0,
    amount_total: amount,
    currency: price.currency,
    description: account.state.products.get(idOf(price.product) ?? "")?.name ?? null,
    metadata: {},
    price: structuredClone(price),
    quantity,
  };
}

/** The trial that a subscription is to begin with; null without one. */
function trialOf(account: Account, data: Params | undefined): SessionSecrets["trial"] {
  const [days, end] = [data?.integer("trial_period_days"), data?.integer("trial_end")];
  if (days !== undefined && days < 1) {
    throw invalid("Invalid integer: trial_period_days must be at least 1.", "subscription_data[trial_period_days]");
  }
  if (end !== undefined && end < account.seconds() + 2 * day) {
    throw invalid("The `trial_end` date has to be at least 2 days in the future.", "subscription_data[trial_end]");
  }
  return days !== undefined ? { days } : end !== undefined ? { end } : null;
}

function createSession({ account, params }: Call): Stripe.Checkout.Session {
  params.required("mode");
  const mode = params.one("mode", ["payment", "subscription"]) ?? "payment";
  const [customer, email] = [params.text("customer"), params.clearable("customer_email") ?? null];
  if (customer !== undefined && email !== null) {
    throw invalid("You may only specify one of these parameters: customer, customer_email.");
  }
  if (customer !== undefined) {
    liveCustomer(account, customer);
  }
  const now = account.seconds();
  const expires = params.integer("expires_at") ?? now + day;
  if (expires < now + 1800 || expires > now + day) {
    throw invalid(
      "The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from Checkout Session creation.",
      "expires_at",
    );
  }
  const success = params.required("success_url");
  for (const [name, url] of [["success_url", success] as const, ["cancel_url", params.text("cancel_url")] as const]) {
    if (url !== undefined && !URL.canParse(url)) {
      throw invalid("Not a valid URL", name, "url_invalid");
    }
  }
  const [payment, subscription] = [params.inside("payment_intent_data"), params.inside("subscription_data")];
  if (mode === "payment" ? subscription !== undefined : payment !== undefined) {
    const name = mode === "payment" ? "subscription_data" : "payment_intent_data";
    throw invalid(`You can not pass \`${name}\` in \`${mode}\` mode.`, name);
  }
  const trial = trialOf(account, subscription);
  const lines = lineItems(account, params, mode);
  const subtotal = lines.reduce((sum, { amount_subtotal: amount }) => sum + amount, 0);
  const session = sessionShape(account, {
    mode,
    customer: customer ?? null,
    email,
    reference: params.clearable("client_reference_id") ?? null,
    currency: lines[0]?.currency ?? "usd",
    amount: trial === null ? subtotal : 0,
    metadata: params.metadata("metadata"),
    success_url: success,
    cancel_url: params.clearable("cancel_url") ?? null,
    expires_at: expires,
    allow_promotion_codes: params.flag("allow_promotion_codes") ?? null,
    customer_creation:
      customer === undefined && mode === "payment"
        ? (params.one("customer_creation", creations) ?? "if_required")
        : null,
  });
  account.state.sessions.set(session.id, session);
  account.state.session_secrets.set(session.id, {
    line_items: lines,
    payment_metadata: payment?.metadata("metadata") ?? {},
    subscription_metadata: subscription?.metadata("metadata") ?? {},
    trial,
    async: null,
  });
  return session;
}

const sessionOf = ({ account, path }: Call): Stripe.Checkout.Session =>
  account.find(account.state.sessions, "checkout.session", path["id"] ?? "");

export const checkoutSessions: Route[] = [
  {
    method: "POST",
    path: "/v1/checkout/sessions",
    takes:
      "mode customer customer_email customer_creation client_reference_id line_items metadata subscription_data payment_intent_data success_url cancel_url expires_at allow_promotion_codes payment_method_types billing_address_collection locale submit_type customer_update ui_mode",
    run: createSession,
  },
  { method: "GET", path: "/v1/checkout/sessions/:id", takes: "", run: sessionOf },
  {
    method: "POST",
    path: "/v1/checkout/sessions/:id",
    takes: "metadata",
    run(call) {
      const session = sessionOf(call);
      session.metadata = call.params.metadata("metadata", session.metadata);
      return session;
    },
  },
  {
    method: "POST",
    path: "/v1/checkout/sessions/:id/expire",
    takes: "",
    run(call) {
      const session = sessionOf(call);
      expire(call.account, session);
      return session;
    },
  },
  {
    method: "GET",
    path: "/v1/checkout/sessions/:id/line_items",
    takes: paging,
    run: (call) =>
      page(
        call,
        `/v1/checkout/sessions/${partOf(call)}/line_items`,
        secretsOf(call.account, sessionOf(call)).line_items.toReversed(),
      ),
  },
  {
    method: "GET",
    path: "/v1/checkout/sessions",
    takes: `${paging} customer status payment_intent subscription created`,
    run(call) {
      const { account, params } = call;
      const wanted = (["customer", "status", "payment_intent", "subscription"] as const).map(
        (field) => [field, params.text(field)] as const,
      );
      const found = [...account.state.sessions.values()].filter((session) =>
        wanted.every(([field, value]) => value === undefined || session[field] === value),
      );
      return page(call, "/v1/checkout/sessions", found);
    },
  },
];
