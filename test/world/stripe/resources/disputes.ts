import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { day } from "../calendar.ts";
import { invalid } from "../failure.ts";
import { idOf, newId } from "../ids.ts";
import { page } from "../list.ts";
import { paging, partOf } from "../route.ts";
import type { Route } from "../route.ts";
import { noEvidence } from "./dispute-evidence.ts";

/** What a bank's dispute is about. */
export interface DisputeWish {
  /** The payment: its intent's id, or its charge's. */
  payment: string;
  /** In minor units; the whole charge unless told. */
  amount?: number;
  reason?: string;
  /** A question of the bank's that takes no money yet. */
  inquiry?: boolean;
}

/** A bank takes a payment back: the money is withdrawn at once, and the account may object. */
export function openDispute(account: Account, wish: DisputeWish): Stripe.Dispute {
  const intent = account.state.payment_intents.get(wish.payment);
  const charge = account.find(account.state.charges, "charge", idOf(intent?.latest_charge) ?? wish.payment);
  if (charge.status !== "succeeded" || charge.disputed) {
    throw invalid("Only a payment that succeeded and is not disputed yet can be disputed.", "payment");
  }
  const dispute: Stripe.Dispute = {
    id: newId("du"),
    object: "dispute",
    amount: wish.amount ?? charge.amount,
    balance_transactions: [],
    charge: charge.id,
    created: account.seconds(),
    currency: charge.currency,
    enhanced_eligibility_types: [],
    evidence: noEvidence(),
    evidence_details: {
      due_by: account.seconds() + 7 * day,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: "not_submitted",
    },
    intended_submission_method: null,
    is_charge_refundable: wish.inquiry === true,
    livemode: false,
    metadata: {},
    payment_intent: charge.payment_intent,
    reason: wish.reason ?? "fraudulent",
    status: wish.inquiry === true ? "warning_needs_response" : "needs_response",
  };
  account.state.disputes.set(dispute.id, dispute);
  charge.disputed = wish.inquiry !== true;
  account.emit("charge.dispute.created", dispute);
  if (wish.inquiry === true) {
    return dispute;
  }
  dispute.balance_transactions.push(movement(account, dispute, -1));
  account.emit("charge.dispute.funds_withdrawn", dispute);
  return dispute;
}

/** A dispute is decided. Won: the money comes back. Lost: it is gone for good. An inquiry is only closed. */
export function closeDispute(account: Account, id: string, outcome: "won" | "lost"): Stripe.Dispute {
  const dispute = account.find(account.state.disputes, "dispute", id);
  if (["won", "lost", "warning_closed"].includes(dispute.status)) {
    throw invalid("This dispute is already closed", "id");
  }
  const inquiry = dispute.status === "warning_needs_response";
  account.change("charge.dispute.updated", dispute, () => {
    dispute.status = inquiry ? "warning_closed" : outcome;
  });
  account.emit("charge.dispute.closed", dispute);
  if (outcome === "won" && !inquiry) {
    dispute.balance_transactions.push(movement(account, dispute, 1));
    account.emit("charge.dispute.funds_reinstated", dispute);
  }
  return dispute;
}

function movement(account: Account, dispute: Stripe.Dispute, sign: 1 | -1): Stripe.BalanceTransaction {
  const amount = sign * dispute.amount;
  const fee = 1500;
  return {
    id: newId("txn"),
    object: "balance_transaction",
    amount,
    available_on: account.seconds(),
    balance_type: "payments",
    created: account.seconds(),
    currency: dispute.currency,
    description: sign === 1 ? "Dispute reversal" : "Chargeback withdrawal",
    exchange_rate: null,
    fee: -sign * fee,
    fee_details: [],
    net: amount + sign * fee,
    reporting_category: sign === 1 ? "dispute_reversal" : "dispute",
    source: dispute.id,
    status: "available",
    type: "adjustment",
  };
}

export const disputes: Route[] = [
  {
    method: "GET",
    path: "/v1/disputes/:id",
    takes: "",
    run: (call) => call.account.find(call.account.state.disputes, "dispute", partOf(call)),
  },
  {
    method: "GET",
    path: "/v1/disputes",
    takes: `${paging} charge payment_intent created`,
    run(call) {
      const [charge, intent] = [call.params.text("charge"), call.params.text("payment_intent")];
      const found = [...call.account.state.disputes.values()].filter(
        (dispute) =>
          (charge === undefined || dispute.charge === charge) &&
          (intent === undefined || dispute.payment_intent === intent),
      );
      return page(call, "/v1/disputes", found);
    },
  },
];
