import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { beginPeriod, changeItems } from "../billing/changes.ts";
import type { ChangeTerms } from "../billing/changes.ts";
import { bill, draftUpdate, firstItem, periodLines } from "../billing/lifecycle.ts";
import { idOf } from "../ids.ts";
import type { ItemChange } from "../billing/proration.ts";
import { itemShape, planOf, quantityOf, recurringPrice } from "../billing/subscription-shape.ts";
import { invalid } from "../failure.ts";
import type { Params } from "../params.ts";

const behaviors = ["allow_incomplete", "error_if_incomplete", "pending_if_incomplete"] as const;

/** What may wait for its payment; Stripe refuses the rest beside it. */
const pendable = new Set([
  "expand",
  "items",
  "payment_behavior",
  "proration_behavior",
  "proration_date",
  "billing_cycle_anchor",
  "off_session",
]);

/** Updates a subscription as a call asks: its items and how they are billed, its end, its trial, its collection. */
export function updateSubscription(
  account: Account,
  subscription: Stripe.Subscription,
  params: Params,
): Stripe.Subscription {
  refuseIfScheduled(subscription, params);
  const unpaid = params.one("payment_behavior", behaviors) ?? "allow_incomplete";
  const wrong = params.names().find((name) => unpaid === "pending_if_incomplete" && !pendable.has(name));
  if (wrong !== undefined) {
    throw invalid(`\`${wrong}\` is not supported when \`payment_behavior\` is \`pending_if_incomplete\`.`, wrong);
  }
  const trial = params.text("trial_end");
  const changes = itemChanges(account, subscription, params);
  const terms: ChangeTerms = {
    proration: params.one("proration_behavior", ["none", "create_prorations", "always_invoice"]) ?? "create_prorations",
    at: params.integer("proration_date") ?? account.seconds(),
    reset: params.one("billing_cycle_anchor", ["now", "unchanged"]) === "now",
    unpaid,
    along: fieldsOf(account, params),
  };
  changeItems(account, subscription, changes, terms);
  if (trial !== undefined) {
    changeTrial(account, subscription, trial);
  }
  return subscription;
}

/** A schedule decides how its subscription ends; a call that would decide otherwise is refused by Stripe. */
function refuseIfScheduled(subscription: Stripe.Subscription, params: Params): void {
  const param = ["cancel_at_period_end", "cancel_at"].find((name) => params.has(name));
  if (subscription.schedule !== null && param !== undefined) {
    throw invalid(
      `The subscription is managed by the subscription schedule \`${idOf(subscription.schedule)}\`, and updating any cancelation behavior directly is not allowed. Please update the schedule instead.`,
      param,
    );
  }
}

/** Every item beside what it is to be; without `items`, all stay as they are. */
function itemChanges(account: Account, subscription: Stripe.Subscription, params: Params): ItemChange[] {
  const wishes = params.each("items");
  const { current_period_start: start, current_period_end: end } = firstItem(subscription);
  const changes: ItemChange[] = subscription.items.data.map((item) => ({ before: item, after: item }));
  for (const wish of wishes) {
    const id = wish.text("id");
    if (id === undefined) {
      const price = recurringPrice(account, wish.required("price"), wish.nameOf("price"));
      const after = itemShape(account, subscription.id, price, quantityOf(wish), { start, end });
      changes.push({ before: null, after });
    } else {
      const change = changes.find(({ before }) => before?.id === id);
      if (change?.before == null) {
        throw invalid(`No such subscription item: '${id}'`, wish.nameOf("id"), "resource_missing");
      }
      change.after = wish.flag("deleted") === true ? null : changedItem(account, change.before, wish);
    }
  }
  const left = changes.flatMap(({ after }) => after ?? []);
  if (left.length === 0) {
    throw invalid("A subscription must have at least one active plan.", "items");
  }
  if (new Set(left.map(({ price }) => price.id)).size < left.length) {
    throw invalid("A subscription cannot have two items with the same price.", "items");
  }
  const rhythms = left.map(({ price: { recurring } }) => `${recurring?.interval} ${recurring?.interval_count}`);
  if (new Set(rhythms).size > 1) {
    throw invalid("All prices on a subscription must have the same billing interval.", "items");
  }
  return changes;
}

function changedItem(account: Account, before: Stripe.SubscriptionItem, wish: Params): Stripe.SubscriptionItem {
  const id = wish.text("price");
  const price = id === undefined ? before.price : recurringPrice(account, id, wish.nameOf("price"));
  return {
    ...before,
    price: structuredClone(price),
    plan: planOf(price),
    quantity: quantityOf(wish, before.quantity),
    metadata: wish.metadata("metadata", before.metadata),
  };
}

/** What a call changes of a subscription beside its items. */
function fieldsOf(account: Account, params: Params): (subscription: Stripe.Subscription) => void {
  const atPeriodEnd = params.flag("cancel_at_period_end");
  const cancelAt = params.isPlain("cancel_at") ? (params.integer("cancel_at") ?? null) : undefined;
  const details = params.inside("cancellation_details");
  const paused = params.inside("pause_collection");
  const behavior = paused?.one("behavior", ["keep_as_draft", "mark_uncollectible", "void"]);
  const missing = params.inside("trial_settings")?.inside("end_behavior")?.text("missing_payment_method");
  return (subscription) => {
    subscription.metadata = params.metadata("metadata", subscription.metadata);
    const description = params.clearable("description");
    subscription.description = description === undefined ? subscription.description : description;
    if (atPeriodEnd !== undefined || cancelAt !== undefined) {
      const at = atPeriodEnd === true ? firstItem(subscription).current_period_end : (cancelAt ?? null);
      subscription.cancel_at_period_end = atPeriodEnd === true;
      subscription.cancel_at = at;
      subscription.canceled_at = at === null ? null : account.seconds();
      subscription.cancellation_details = {
        comment: details?.clearable("comment") ?? null,
        feedback: details?.clearable("feedback") ?? null,
        feedback_option: null,
        reason: at === null ? null : "cancellation_requested",
      };
    }
    if (params.has("pause_collection")) {
      const resumes = paused?.integer("resumes_at") ?? null;
      subscription.pause_collection = behavior === undefined ? null : { behavior, resumes_at: resumes };
    }
    if (missing !== undefined) {
      subscription.trial_settings = { end_behavior: { billing_cycle_anchor: null, missing_payment_method: missing } };
    }
  };
}

/** Moves the end of a trial, or ends it now: then the first period begins, and is billed. */
function changeTrial(account: Account, subscription: Stripe.Subscription, trial: string): void {
  const now = account.seconds();
  if (trial === "now") {
    if (subscription.status !== "trialing") {
      return;
    }
    let invoice: Stripe.Invoice | undefined;
    account.change("customer.subscription.updated", subscription, () => {
      subscription.status = "active";
      subscription.trial_end = now;
      const period = beginPeriod(account, subscription);
      invoice = draftUpdate(account, subscription, periodLines(subscription, period));
    });
    if (invoice !== undefined) {
      bill(account, subscription, invoice);
    }
    return;
  }
  const end = Number(trial);
  if (!Number.isInteger(end) || end <= now) {
    throw invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end");
  }
  account.change("customer.subscription.updated", subscription, () => {
    subscription.status = "trialing";
    subscription.trial_start ??= now;
    subscription.trial_end = end;
    subscription.billing_cycle_anchor = end;
    for (const item of subscription.items.data) {
      item.current_period_end = end;
    }
    if (subscription.cancel_at_period_end) {
      subscription.cancel_at = end;
    }
  });
}
