import * as z from "zod";
import {
  type ChargeFact,
  chargeFact,
  type DisputeFact,
  disputeFact,
  type RefundFact,
  refundFact,
} from "./facts/charge.ts";
import { type CheckoutFact, checkoutFact } from "./facts/checkout.ts";
import { type InvoiceFact, invoiceFact } from "./facts/invoice.ts";
import { id } from "./facts/parts.ts";
import { type SubscriptionFact, subscriptionFact } from "./facts/subscription.ts";

/** A customer that was deleted at Stripe. */
export interface CustomerFact {
  kind: "customer";
  customer: string;
  deleted: true;
}

/** What an effect needs of an object of Stripe's. */
export type Fact = SubscriptionFact | InvoiceFact | CheckoutFact | ChargeFact | RefundFact | DisputeFact | CustomerFact;

const customer = z.object({ id });

/** How each type of event is read, by its name without the last word; the last word is the fact's `event`. */
const readers: Readonly<Record<string, (object: unknown, event: string) => Fact | null>> = {
  "checkout.session": checkoutFact,
  "customer.subscription": subscriptionFact,
  invoice: invoiceFact,
  charge: chargeFact,
  refund: refundFact,
  "charge.dispute": disputeFact,
  customer: (object) => ({ kind: "customer", customer: customer.parse(object).id, deleted: true }),
};

/**
 * The events that have an effect, by type: what the webhook endpoint is asked to send, and what the sweep of missed ones
 * looks for. A dispute's `updated` is not among them: it tells of evidence, and what moves money has events of its own.
 */
export const eventTypes: readonly string[] = [
  "checkout.session.completed",
  "checkout.session.async_payment_succeeded",
  "checkout.session.async_payment_failed",
  "checkout.session.expired",
  "customer.subscription.created",
  "customer.subscription.updated",
  "customer.subscription.deleted",
  "customer.subscription.paused",
  "customer.subscription.resumed",
  "customer.subscription.trial_will_end",
  "invoice.paid",
  "invoice.payment_failed",
  "invoice.payment_action_required",
  "charge.refunded",
  "refund.created",
  "refund.updated",
  "refund.failed",
  "charge.dispute.created",
  "charge.dispute.funds_withdrawn",
  "charge.dispute.funds_reinstated",
  "charge.dispute.closed",
  "customer.deleted",
];

/** An event's object, read. */
export type Reading =
  /** Null: a type without an effect. */
  | { fact: Fact | null; lacks: null; fault: null }
  /** The object does not carry all of it, and must be fetched. */
  | { fact: null; lacks: string; fault: null }
  /** It is not what its type promises; what is wrong, without its values. */
  | { fact: null; lacks: null; fault: string };

/** Takes the fact out of an event's object. */
export function factOf(type: string, object: unknown): Reading {
  if (!eventTypes.includes(type)) return { fact: null, lacks: null, fault: null };
  const cut = type.lastIndexOf(".");
  const read = readers[type.slice(0, cut)];
  if (read === undefined) throw new Error(`nobody reads ${type}`);
  try {
    const fact = read(object, type.slice(cut + 1));
    return fact === null ? { fact, lacks: "lines", fault: null } : { fact, lacks: null, fault: null };
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    return { fact: null, lacks: null, fault: faultOf(type, error) };
  }
}

function faultOf(type: string, error: z.ZodError): string {
  const issues = error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  return `${type} does not have its shape: ${issues.join("; ")}`.slice(0, 500);
}
