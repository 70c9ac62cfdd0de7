import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { invalid } from "../failure.ts";
import { idOf, newId } from "../ids.ts";
import { page } from "../list.ts";
import type { Params } from "../params.ts";
import { paging, partOf } from "../route.ts";
import type { Route } from "../route.ts";

const reasons = ["duplicate", "fraudulent", "requested_by_customer"] as const;

/** The charge that a refund is to be of, by its own id or by its payment's. */
function chargeOf(account: Account, params: Params): Stripe.Charge {
  const [intentId, chargeId] = [params.text("payment_intent"), params.text("charge")];
  if (intentId === undefined) {
    return account.find(account.state.charges, "charge", chargeId ?? params.required("payment_intent"), "charge");
  }
  const intent = account.find(account.state.payment_intents, "payment_intent", intentId, "payment_intent");
  const charge = account.state.charges.get(idOf(intent.latest_charge) ?? "");
  if (charge?.status !== "succeeded") {
    throw invalid("This PaymentIntent does not have a successful charge to refund.", "payment_intent");
  }
  return charge;
}

/** Gives a payment back, wholly or in part. */
export function createRefund(account: Account, params: Params): Stripe.Refund {
  const charge = chargeOf(account, params);
  const left = charge.amount - charge.amount_refunded;
  const amount = params.integer("amount") ?? left;
  if (charge.refunded || left === 0) {
    throw invalid(`Charge ${charge.id} has already been refunded.`, undefined, "charge_already_refunded");
  }
  if (charge.disputed) {
    throw invalid(`Charge ${charge.id} has been charged back; cannot issue a refund.`, undefined, "charge_disputed");
  }
  if (amount < 1 || amount > left) {
    throw invalid(
      amount < 1
        ? "Invalid positive integer"
        : `Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`,
      "amount",
    );
  }
  const refund: Stripe.Refund = {
    id: newId("re"),
    object: "refund",
    amount,
    balance_transaction: newId("txn"),
    charge: charge.id,
    created: account.seconds(),
    currency: charge.currency,
    customer: charge.customer,
    customer_account: null,
    destination_details: {
      card: { reference_status: "pending", reference_type: "acquirer_reference_number", type: "refund" },
      type: "card",
    },
    metadata: params.metadata("metadata"),
    payment_intent: charge.payment_intent,
    payment_method: charge.payment_method,
    reason: params.one("reason", reasons) ?? null,
    receipt_number: null,
    source_transfer_reversal: null,
    status: account.policies.refunds === "pend" ? "pending" : "succeeded",
    transfer_reversal: null,
  };
  account.state.refunds.set(refund.id, refund);
  account.emit("refund.created", refund);
  account.change("charge.refunded", charge, () => countRefunds(account, charge));
  if (refund.status === "succeeded") {
    announceUpdate(account, refund, { destination_details: { card: { reference_status: null } } });
  }
  return refund;
}

/** A charge shows the sum of its refunds, without those that failed. */
function countRefunds(account: Account, charge: Stripe.Charge): void {
  const counted = [...account.state.refunds.values()].filter(
    (refund) => refund.charge === charge.id && refund.status !== "failed" && refund.status !== "canceled",
  );
  charge.amount_refunded = counted.reduce((sum, { amount }) => sum + amount, 0);
  charge.refunded = charge.amount_refunded === charge.amount;
}

/** Stripe tells of a refund's update twice, under its new name and its old. */
function announceUpdate(account: Account, refund: Stripe.Refund, previous: Record<string, unknown>): void {
  account.emit("refund.updated", refund, previous);
  account.emit("charge.refund.updated", refund, previous);
}

/** A refund that was on its way arrives. */
export function settleRefund(account: Account, id: string): Stripe.Refund {
  const refund = account.find(account.state.refunds, "refund", id);
  if (refund.status !== "pending") {
    throw invalid(`This refund is ${refund.status}, so it cannot arrive.`, "id");
  }
  refund.status = "succeeded";
  announceUpdate(account, refund, { status: "pending" });
  return refund;
}

/** The bank sends a refund back: the money is the account's again, and the charge counts it no more. */
export function failRefund(account: Account, id: string): Stripe.Refund {
  const refund = account.find(account.state.refunds, "refund", id);
  if (refund.status === "failed") {
    throw invalid("This refund has failed already.", "id");
  }
  const previous = { status: refund.status };
  refund.status = "failed";
  refund.failure_reason = "lost_or_stolen_card";
  refund.failure_balance_transaction = newId("txn");
  const charge = account.find(account.state.charges, "charge", idOf(refund.charge) ?? "");
  account.change("charge.updated", charge, () => countRefunds(account, charge));
  account.emit("refund.failed", refund);
  announceUpdate(account, refund, previous);
  return refund;
}

export const refunds: Route[] = [
  {
    method: "POST",
    path: "/v1/refunds",
    takes: "payment_intent charge amount reason metadata",
    run: ({ account, params }) => createRefund(account, params),
  },
  {
    method: "GET",
    path: "/v1/refunds/:id",
    takes: "",
    run: (call) => call.account.find(call.account.state.refunds, "refund", partOf(call)),
  },
  {
    method: "GET",
    path: "/v1/refunds",
    takes: `${paging} charge payment_intent created`,
    run(call) {
      const [charge, intent] = [call.params.text("charge"), call.params.text("payment_intent")];
      const found = [...call.account.state.refunds.values()].filter(
        (refund) =>
          (charge === undefined || refund.charge === charge) &&
          (intent === undefined || refund.payment_intent === intent),
      );
      return page(call, "/v1/refunds", found);
    },
  },
];
