import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { beginPeriod } from "../billing/changes.ts";
import { cancel, hasEnded } from "../billing/ending.ts";
import { bill, draftUpdate, firstItem, periodLines, start } from "../billing/lifecycle.ts";
import { cardOutcome } from "../billing/payments.ts";
import { creditFor } from "../billing/proration.ts";
import { pause } from "../billing/renewals.ts";
import { quantityOf, recurringPrice } from "../billing/subscription-shape.ts";
import { day } from "../calendar.ts";
import { declined, invalid, missing } from "../failure.ts";
import { page } from "../list.ts";
import type { Params } from "../params.ts";
import { paging } from "../route.ts";
import type { Call, Route } from "../route.ts";
import { liveCustomer } from "./customers.ts";
import { updateSubscription } from "./subscription-update.ts";

const subscriptionOf = ({ account, path }: Call): Stripe.Subscription =>
  account.find(account.state.subscriptions, "subscription", path["id"] ?? "");

/** A subscription that can still change; an ended one is refused. */
function livingOf(call: Call): Stripe.Subscription {
  const subscription = subscriptionOf(call);
  if (hasEnded(subscription)) {
    throw invalid("A canceled subscription can only update its cancellation_details and metadata.");
  }
  return subscription;
}

function createSubscription({ account, params }: Call): Stripe.Subscription {
  const customer = liveCustomer(account, params.required("customer")).id;
  const items = params.each("items").map((item) => ({
    price: recurringPrice(account, item.required("price"), item.nameOf("price")),
    quantity: quantityOf(item),
  }));
  const trial = trialEnd(account, params);
  const behavior = params.one("payment_behavior", ["allow_incomplete", "error_if_incomplete"]);
  const cannotPay = trial === null && cardOutcome(account, customer) !== "succeeds";
  if (cannotPay && account.state.cards.get(customer) === "missing") {
    throw invalid(
      "This customer has no attached payment source or default payment method.",
      undefined,
      "resource_missing",
    );
  }
  if (cannotPay && behavior === "error_if_incomplete") {
    throw declined();
  }
  const without = params.inside("trial_settings")?.inside("end_behavior")?.text("missing_payment_method");
  return start(account, {
    customer,
    items,
    metadata: params.metadata("metadata"),
    trial_end: trial,
    description: params.clearable("description") ?? null,
    ...(without === undefined
      ? {}
      : { trial_settings: { end_behavior: { billing_cycle_anchor: null, missing_payment_method: without } } }),
  });
}

function trialEnd(account: Account, params: Params): number | null {
  const [days, end] = [params.integer("trial_period_days"), params.integer("trial_end")];
  if (end !== undefined && end <= account.seconds()) {
    throw invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end");
  }
  return days === undefined ? (end ?? null) : account.seconds() + days * day;
}

/** Ends a subscription now; the rest of its period is given back, and billed, where the call asks for it. */
function cancelNow(call: Call): Stripe.Subscription {
  const { account, params } = call;
  const subscription = subscriptionOf(call);
  if (hasEnded(subscription)) {
    throw missing("subscription", subscription.id);
  }
  const paid = subscription.status === "active";
  const credits =
    params.flag("prorate") === true && paid
      ? subscription.items.data.map((item) => creditFor(subscription, item, account.seconds()))
      : [];
  const details = params.inside("cancellation_details");
  if (details !== undefined) {
    subscription.cancellation_details = {
      comment: details.clearable("comment") ?? null,
      feedback: details.clearable("feedback") ?? null,
      feedback_option: null,
      reason: "cancellation_requested",
    };
  }
  const invoice = params.flag("invoice_now") === true ? draftUpdate(account, subscription, credits) : undefined;
  if (invoice === undefined) {
    for (const line of credits) {
      account.state.pending_lines.set(line.id, line);
    }
  } else {
    bill(account, subscription, invoice);
  }
  cancel(account, subscription, "cancellation_requested");
  return subscription;
}

/** Resumes a paused subscription: a new period begins, unless the anchor is to stay, and is billed at once. */
function resume(call: Call): Stripe.Subscription {
  const { account, params } = call;
  const subscription = livingOf(call);
  if (subscription.status !== "paused") {
    throw invalid("Only a paused subscription can be resumed.", "id");
  }
  const anchor = params.isPlain("billing_cycle_anchor")
    ? params.text("billing_cycle_anchor")
    : params.inside("billing_cycle_anchor")?.text("type");
  const keeps = anchor === "unchanged" && firstItem(subscription).current_period_end > account.seconds();
  let invoice: Stripe.Invoice | undefined;
  account.change("customer.subscription.updated", subscription, () => {
    subscription.status = "active";
    delete subscription.status_details;
    if (!keeps) {
      const lines = periodLines(subscription, beginPeriod(account, subscription));
      invoice = draftUpdate(account, subscription, lines);
    }
  });
  account.emit("customer.subscription.resumed", subscription);
  if (invoice !== undefined) {
    bill(account, subscription, invoice);
  }
  return subscription;
}

export const subscriptions: Route[] = [
  {
    method: "POST",
    path: "/v1/subscriptions",
    takes:
      "customer items metadata description trial_period_days trial_end trial_settings payment_behavior off_session collection_method currency",
    run: createSubscription,
  },
  { method: "GET", path: "/v1/subscriptions/:id", takes: "", run: subscriptionOf },
  {
    method: "POST",
    path: "/v1/subscriptions/:id",
    takes:
      "items proration_behavior proration_date payment_behavior billing_cycle_anchor cancel_at_period_end cancel_at cancellation_details metadata description trial_end trial_settings pause_collection off_session",
    run: (call) => updateSubscription(call.account, livingOf(call), call.params),
  },
  {
    method: "DELETE",
    path: "/v1/subscriptions/:id",
    takes: "prorate invoice_now cancellation_details",
    run: cancelNow,
  },
  {
    method: "POST",
    path: "/v1/subscriptions/:id/pause",
    takes: "type bill_for invoicing_behavior",
    run(call) {
      const { account, params } = call;
      const subscription = livingOf(call);
      if (subscription.status !== "active") {
        throw invalid(`A subscription that is ${subscription.status} cannot be paused.`, "id");
      }
      if ((params.inside("bill_for")?.inside("unused_time_from")?.text("type") ?? "now") === "now") {
        for (const item of subscription.items.data) {
          const line = creditFor(subscription, item, account.seconds());
          account.state.pending_lines.set(line.id, line);
        }
      }
      pause(account, subscription, "pause_requested");
      return subscription;
    },
  },
  {
    method: "POST",
    path: "/v1/subscriptions/:id/resume",
    takes: "billing_cycle_anchor proration_behavior payment_behavior",
    run: resume,
  },
  {
    method: "GET",
    path: "/v1/subscriptions",
    takes: `${paging} customer status price created`,
    run(call) {
      const { account, params } = call;
      const [customer, status, price] = [params.text("customer"), params.text("status"), params.text("price")];
      const found = [...account.state.subscriptions.values()].filter(
        (subscription) =>
          (customer === undefined || subscription.customer === customer) &&
          (price === undefined || subscription.items.data.some((item) => item.price.id === price)) &&
          hasStatus(subscription, status),
      );
      return page(call, "/v1/subscriptions", found);
    },
  },
];

/** Without a status, Stripe lists all that are not canceled. */
function hasStatus(subscription: Stripe.Subscription, wanted: string | undefined): boolean {
  if (wanted === "all") {
    return true;
  }
  if (wanted === "ended") {
    return hasEnded(subscription);
  }
  return wanted === undefined ? subscription.status !== "canceled" : subscription.status === wanted;
}
