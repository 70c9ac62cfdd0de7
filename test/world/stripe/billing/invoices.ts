import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { day } from "../calendar.ts";
import { invalid } from "../failure.ts";
import { idOf, newId } from "../ids.ts";
import { whole } from "../list.ts";
import { invoiceShape } from "./invoice-shape.ts";
import type { InvoiceWish } from "./invoice-shape.ts";
import { attempt, cardOutcome, createPaymentIntent, settleProcessing } from "./payments.ts";
import type { Outcome } from "./payments.ts";
import { pendingOn } from "./pending.ts";
import { afterFailure, afterPayment } from "./standing.ts";

/** The subscription that an invoice is of; null for none. */
export function subscriptionOf(account: Account, invoice: Stripe.Invoice): Stripe.Subscription | null {
  const id = idOf(invoice.parent?.subscription_details?.subscription);
  return account.state.subscriptions.get(id ?? "") ?? null;
}

/** Makes a draft, with the lines that waited for the subscription's next invoice first. */
export function draftInvoice(account: Account, wish: InvoiceWish): Stripe.Invoice {
  const { pending_lines: pending } = account.state;
  const waiting = [...pending.values()].filter((line) => idOf(line.subscription) === wish.subscription.id);
  for (const line of waiting) {
    pending.delete(line.id);
  }
  const lines = [...waiting, ...wish.lines];
  const invoice = invoiceShape(account, { ...wish, lines });
  account.state.invoice_lines.set(invoice.id, lines);
  account.state.invoices.set(invoice.id, invoice);
  wish.subscription.latest_invoice = invoice.id;
  account.emit("invoice.created", invoice);
  return invoice;
}

/** Opens a draft: it gets its number, the customer's balance is applied, and its payment intent is made. */
export function finalize(account: Account, invoice: Stripe.Invoice): void {
  const customer = account.find(account.state.customers, "customer", idOf(invoice.customer) ?? "", "customer");
  const owed = invoice.total + customer.balance;
  const due = Math.max(0, owed);
  // What the customer is owed stays as a credit; what is owed is asked for now and leaves the balance at zero.
  const balance = Math.min(0, owed);
  Object.assign(invoice, {
    status: "open",
    starting_balance: customer.balance,
    ending_balance: balance,
    amount_due: due,
    amount_remaining: due,
    number: `${customer.invoice_prefix}-${String(customer.next_invoice_sequence).padStart(4, "0")}`,
    effective_at: account.seconds(),
    automatically_finalizes_at: null,
    hosted_invoice_url: `${account.url}/invoices/${invoice.id}`,
    invoice_pdf: `${account.url}/invoices/${invoice.id}/pdf`,
  } satisfies Partial<Stripe.Invoice>);
  invoice.status_transitions.finalized_at = account.seconds();
  customer.next_invoice_sequence = (customer.next_invoice_sequence ?? 1) + 1;
  if (customer.balance !== balance) {
    account.change("customer.updated", customer, () => {
      customer.balance = balance;
    });
  }
  account.emit("invoice.finalized", invoice);
  if (due > 0) {
    preparePayment(account, invoice, due);
  }
}

function preparePayment(account: Account, invoice: Stripe.Invoice, amount: number): void {
  const intent = createPaymentIntent(account, {
    amount,
    currency: invoice.currency,
    customer: idOf(invoice.customer),
    description: invoice.billing_reason === "subscription_create" ? "Subscription creation" : "Subscription update",
  });
  const payment: Stripe.InvoicePayment = {
    id: newId("inpay"),
    object: "invoice_payment",
    amount_paid: null,
    amount_requested: amount,
    created: account.seconds(),
    currency: invoice.currency,
    invoice: invoice.id,
    is_default: true,
    livemode: false,
    payment: { type: "payment_intent", payment_intent: intent.id },
    status: "open",
    status_transitions: { canceled_at: null, paid_at: null },
  };
  account.state.invoice_payments.set(payment.id, payment);
}

/** The payments of an invoice. */
function paymentsOf(account: Account, invoice: string): Stripe.InvoicePayment[] {
  return [...account.state.invoice_payments.values()].filter((payment) => idOf(payment.invoice) === invoice);
}

/** The payments of an invoice as the list that `expand[]=payments` shows. */
export function paymentList(account: Account, invoice: string): Stripe.ApiList<Stripe.InvoicePayment> {
  return whole("/v1/invoice_payments", paymentsOf(account, invoice));
}

/** The payment that an invoice waits for, and its intent. */
function openPayment(
  account: Account,
  invoice: Stripe.Invoice,
): { payment: Stripe.InvoicePayment; intent: Stripe.PaymentIntent } | null {
  const payment = paymentsOf(account, invoice.id).find(({ status }) => status === "open");
  const intent = account.state.payment_intents.get(idOf(payment?.payment.payment_intent) ?? "");
  return payment === undefined || intent === undefined ? null : { payment, intent };
}

/** Tries to collect an open invoice. True when it is paid. `outcome` is the card's answer unless told. */
export function collect(account: Account, invoice: Stripe.Invoice, outcome?: Outcome): boolean {
  const open = openPayment(account, invoice);
  if (open === null || invoice.amount_remaining === 0) {
    markPaid(account, invoice);
    return true;
  }
  const answer = outcome ?? cardOutcome(account, idOf(invoice.customer));
  attempt(account, open.intent, answer);
  invoice.attempted = true;
  invoice.attempt_count += 1;
  if (answer === "processing") {
    return false;
  }
  return conclude(account, invoice, answer);
}

/** A delayed payment of an invoice arrives, or fails. */
export function concludeProcessing(account: Account, invoice: Stripe.Invoice, succeeds: boolean): void {
  const open = openPayment(account, invoice);
  if (open !== null && open.intent.status === "processing") {
    settleProcessing(account, open.intent, succeeds);
    conclude(account, invoice, succeeds ? "succeeds" : "fails");
  }
}

function conclude(account: Account, invoice: Stripe.Invoice, answer: Exclude<Outcome, "processing">): boolean {
  if (answer === "succeeds") {
    markPaid(account, invoice);
    return true;
  }
  const subscription = subscriptionOf(account, invoice);
  const { retry_days: days } = account.policies;
  // Nobody tries again for a subscription that never began, has ended, or goes on as it was until a change is paid.
  const once =
    subscription === null ||
    ["incomplete", "canceled"].includes(subscription.status) ||
    pendingOn(account, subscription, invoice) !== undefined;
  const wait = once ? undefined : days[invoice.attempt_count - 1];
  invoice.next_payment_attempt = wait === undefined ? null : account.seconds() + wait * day;
  account.emit("invoice.payment_failed", invoice);
  if (answer === "needs_action") {
    account.emit("invoice.payment_action_required", invoice);
  }
  account.emit("invoice.updated", invoice, { attempt_count: invoice.attempt_count - 1 });
  if (subscription !== null) {
    afterFailure(account, subscription, invoice);
  }
  return false;
}

function markPaid(account: Account, invoice: Stripe.Invoice): void {
  const open = openPayment(account, invoice);
  if (open !== null) {
    Object.assign(open.payment, { status: "paid", amount_paid: open.payment.amount_requested });
    open.payment.status_transitions.paid_at = account.seconds();
    account.emit("invoice_payment.paid", open.payment);
  }
  const before = { status: invoice.status, amount_paid: invoice.amount_paid };
  Object.assign(invoice, {
    status: "paid",
    attempted: true,
    amount_paid: invoice.amount_due,
    amount_remaining: 0,
    next_payment_attempt: null,
    auto_advance: false,
  } satisfies Partial<Stripe.Invoice>);
  invoice.status_transitions.paid_at = account.seconds();
  const subscription = subscriptionOf(account, invoice);
  if (subscription !== null) {
    afterPayment(account, subscription, invoice);
  }
  account.emit("invoice.updated", invoice, before);
  account.emit("invoice.paid", invoice);
  account.emit("invoice.payment_succeeded", invoice);
}

/** Voids an open invoice, or one that was given up: it will never be paid. */
export function voidInvoice(account: Account, invoice: Stripe.Invoice): void {
  if (invoice.status !== "open" && invoice.status !== "uncollectible") {
    throw invalid("You can only pass in open or uncollectible invoices.", "invoice", "invoice_not_editable");
  }
  Object.assign(invoice, { status: "void", next_payment_attempt: null, auto_advance: false });
  invoice.status_transitions.voided_at = account.seconds();
  const open = openPayment(account, invoice);
  if (open !== null) {
    open.payment.status = "canceled";
    open.payment.status_transitions.canceled_at = account.seconds();
    Object.assign(open.intent, {
      status: "canceled",
      canceled_at: account.seconds(),
      cancellation_reason: "void_invoice",
    });
    account.emit("payment_intent.canceled", open.intent);
  }
  account.emit("invoice.voided", invoice);
}
