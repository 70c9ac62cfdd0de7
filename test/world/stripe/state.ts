import type Stripe from "stripe";

/** How a customer's card answers. `needs_action`: the bank wants to see the customer. `missing`: there is no card. */
export type Card = "pays" | "declines" | "needs_action" | "missing";

/** A change of a subscription that takes effect when its invoice is paid. */
export interface PendingChange {
  invoice: string;
  items: Stripe.SubscriptionItem[];
  billing_cycle_anchor: number;
}

/** What a checkout session knows that its object does not show. */
export interface SessionSecrets {
  line_items: Stripe.LineItem[];
  payment_metadata: Record<string, string>;
  subscription_metadata: Record<string, string>;
  trial: { days: number } | { end: number } | null;
  /** A delayed payment on its way: when, in seconds, it arrives or fails. */
  async: { due: number; succeeds: boolean } | null;
}

/** Whom an event is to be brought to, and how that went. */
export interface Delivery {
  id: string;
  event: string;
  endpoint: string;
  state: "due" | "held" | "dropped" | "delivered" | "failed";
  attempts: number;
  /** When it is tried again, in milliseconds of the clock. */
  next_at: number;
  last_status: number | null;
}

/** An answer that is kept under its idempotency key. */
export interface StoredAnswer {
  fingerprint: string;
  path: string;
  status: number;
  body: string;
  request: string;
  created: number;
}

/** Everything the account has. Maps keep the order of creation, which lists show newest first. */
export interface State {
  /** By how much the clock is ahead of its base. */
  offset_ms: number;
  customers: Map<string, Stripe.Customer>;
  deleted_customers: Map<string, Stripe.DeletedCustomer>;
  cards: Map<string, Card>;
  products: Map<string, Stripe.Product>;
  prices: Map<string, Stripe.Price>;
  sessions: Map<string, Stripe.Checkout.Session>;
  session_secrets: Map<string, SessionSecrets>;
  portal_sessions: Map<string, Stripe.BillingPortal.Session>;
  subscriptions: Map<string, Stripe.Subscription>;
  /** Subscriptions whose end of trial has been announced, and for which end. */
  announced_trials: Map<string, number>;
  /** By the subscription's id. */
  pending_changes: Map<string, PendingChange>;
  schedules: Map<string, Stripe.SubscriptionSchedule>;
  invoices: Map<string, Stripe.Invoice>;
  /** All lines of each invoice; the invoice itself shows the first ten. */
  invoice_lines: Map<string, Stripe.InvoiceLineItem[]>;
  /** Lines that wait for a subscription's next invoice. */
  pending_lines: Map<string, Stripe.InvoiceLineItem>;
  invoice_payments: Map<string, Stripe.InvoicePayment>;
  payment_intents: Map<string, Stripe.PaymentIntent>;
  charges: Map<string, Stripe.Charge>;
  refunds: Map<string, Stripe.Refund>;
  disputes: Map<string, Stripe.Dispute>;
  endpoints: Map<string, Stripe.WebhookEndpoint>;
  events: Map<string, Stripe.Event>;
  deliveries: Map<string, Delivery>;
  answers: Map<string, StoredAnswer>;
}

export function emptyState(): State {
  return {
    offset_ms: 0,
    customers: new Map(),
    deleted_customers: new Map(),
    cards: new Map(),
    products: new Map(),
    prices: new Map(),
    sessions: new Map(),
    session_secrets: new Map(),
    portal_sessions: new Map(),
    subscriptions: new Map(),
    announced_trials: new Map(),
    pending_changes: new Map(),
    schedules: new Map(),
    invoices: new Map(),
    invoice_lines: new Map(),
    pending_lines: new Map(),
    invoice_payments: new Map(),
    payment_intents: new Map(),
    charges: new Map(),
    refunds: new Map(),
    disputes: new Map(),
    endpoints: new Map(),
    events: new Map(),
    deliveries: new Map(),
    answers: new Map(),
  };
}

/** The state as JSON text. */
export function writeState(state: State): string {
  return JSON.stringify(state, (_, value: unknown) => (value instanceof Map ? { entries: [...value] } : value));
}

/** The state that a text has; collections that an older text lacks are empty. */
export function readState(text: string): State {
  const stored: Record<string, { entries: [string, unknown][] } | number> = JSON.parse(text);
  const read = Object.entries(stored).map(([name, value]) => [
    name,
    typeof value === "object" ? new Map(value.entries) : value,
  ]);
  const known: Partial<State> = Object.fromEntries(read);
  return { ...emptyState(), ...known };
}
