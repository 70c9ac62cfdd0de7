import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { idOf, newId } from "../ids.ts";

/**
 * How an attempt to pay goes. `processing`: a delayed payment, which is decided later. `needs_action`: the bank wants to
 * see the customer first.
 */
export type Outcome = "succeeds" | "fails" | "needs_action" | "processing";

/** What a payment is for. */
export interface PaymentWish {
  amount: number;
  currency: string;
  customer: string | null;
  metadata?: Record<string, string>;
  description?: string | null;
}

/** How a customer's card answers now. */
export function cardOutcome(account: Account, customer: string | null): Outcome {
  const card = account.state.cards.get(customer ?? "") ?? "pays";
  return card === "pays" ? "succeeds" : card === "needs_action" ? card : "fails";
}

/** Makes a payment intent; nothing is charged yet. */
export function createPaymentIntent(account: Account, wish: PaymentWish): Stripe.PaymentIntent {
  const id = newId("pi");
  const intent: Stripe.PaymentIntent = {
    id,
    object: "payment_intent",
    allowed_payment_method_types: null,
    amount: wish.amount,
    amount_capturable: 0,
    amount_received: 0,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods: null,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: "automatic",
    client_secret: newId(`${id}_secret`),
    confirmation_method: "automatic",
    created: account.seconds(),
    currency: wish.currency,
    customer: wish.customer,
    customer_account: null,
    description: wish.description ?? null,
    excluded_payment_method_types: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    metadata: wish.metadata ?? {},
    next_action: null,
    on_behalf_of: null,
    payment_method: null,
    payment_method_configuration_details: null,
    payment_method_options: {},
    payment_method_types: ["card"],
    payment_record: null,
    processing: null,
    receipt_email: null,
    review: null,
    setup_future_usage: null,
    shipping: null,
    source: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    status: "requires_payment_method",
    transfer_group: null,
  };
  account.state.payment_intents.set(id, intent);
  account.emit("payment_intent.created", intent);
  return intent;
}

/** Tries to take the money of a payment intent, and says so in events. */
export function attempt(account: Account, intent: Stripe.PaymentIntent, outcome: Outcome): void {
  if (outcome === "needs_action") {
    intent.status = "requires_action";
    intent.next_action = { type: "use_stripe_sdk", use_stripe_sdk: {} };
    account.emit("payment_intent.requires_action", intent);
    return;
  }
  intent.next_action = null;
  const charge = createCharge(account, intent, outcome);
  intent.latest_charge = charge.id;
  intent.payment_method = charge.payment_method;
  if (outcome === "processing") {
    intent.status = "processing";
    account.emit("charge.pending", charge);
    account.emit("payment_intent.processing", intent);
  } else {
    settle(account, intent, charge, outcome);
  }
}

/** A delayed payment arrives, or fails. */
export function settleProcessing(account: Account, intent: Stripe.PaymentIntent, succeeds: boolean): void {
  const charge = account.find(account.state.charges, "charge", idOf(intent.latest_charge) ?? "");
  settle(account, intent, charge, succeeds ? "succeeds" : "fails");
}

function settle(
  account: Account,
  intent: Stripe.PaymentIntent,
  charge: Stripe.Charge,
  outcome: "succeeds" | "fails",
): void {
  if (outcome === "succeeds") {
    Object.assign(charge, { status: "succeeded", paid: true, captured: true, amount_captured: charge.amount });
    charge.balance_transaction = newId("txn");
    Object.assign(intent, { status: "succeeded", amount_received: intent.amount, last_payment_error: null });
    account.emit("charge.succeeded", charge);
    account.emit("payment_intent.succeeded", intent);
    return;
  }
  Object.assign(charge, {
    status: "failed",
    paid: false,
    failure_code: "card_declined",
    failure_message: "Your card was declined.",
  });
  intent.status = "requires_payment_method";
  intent.payment_method = null;
  intent.last_payment_error = {
    type: "card_error",
    code: "card_declined",
    decline_code: "generic_decline",
    message: "Your card was declined.",
    charge: charge.id,
  };
  account.emit("charge.failed", charge);
  account.emit("payment_intent.payment_failed", intent);
}

function createCharge(account: Account, intent: Stripe.PaymentIntent, outcome: Outcome): Stripe.Charge {
  const id = newId("ch");
  const customer = account.state.customers.get(idOf(intent.customer) ?? "");
  const charge: Stripe.Charge = {
    id,
    object: "charge",
    amount: intent.amount,
    amount_captured: 0,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: {
      address: null,
      email: customer?.email ?? null,
      name: customer?.name ?? null,
      phone: null,
      tax_id: null,
    },
    calculated_statement_descriptor: "MINIATURE",
    captured: false,
    created: account.seconds(),
    currency: intent.currency,
    customer: intent.customer,
    description: intent.description,
    disputed: false,
    failure_balance_transaction: null,
    failure_code: null,
    failure_message: null,
    fraud_details: {},
    livemode: false,
    metadata: { ...intent.metadata },
    on_behalf_of: null,
    outcome: null,
    paid: false,
    payment_intent: intent.id,
    payment_method: newId("pm"),
    payment_method_details: null,
    receipt_email: null,
    receipt_number: null,
    receipt_url: outcome === "fails" ? null : `${account.url}/receipts/${id}`,
    refunded: false,
    review: null,
    shipping: null,
    source: null,
    source_transfer: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    status: "pending",
    transfer_data: null,
    transfer_group: null,
  };
  account.state.charges.set(id, charge);
  return charge;
}
