import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { idOf, newId } from "../ids.ts";
import { whole } from "../list.ts";
import { decimalOf } from "../resources/prices.ts";

/** How many lines an invoice shows; the rest are listed on their own. */
const shownLines = 10;

/** What a line of an invoice says. */
export interface LineWish {
  subscription: Stripe.Subscription;
  item: Stripe.SubscriptionItem;
  amount: number;
  description: string;
  period: { start: number; end: number };
  proration?: boolean;
}

/** A line of a subscription's, for an invoice that is to come. */
export function lineOf(wish: LineWish): Stripe.InvoiceLineItem {
  const { subscription, item, amount, proration = false } = wish;
  return {
    id: newId("il"),
    object: "line_item",
    amount,
    currency: subscription.currency,
    description: wish.description,
    discount_amounts: [],
    discountable: !proration,
    discounts: [],
    invoice: null,
    livemode: false,
    metadata: { ...subscription.metadata },
    parent: {
      type: "subscription_item_details",
      invoice_item_details: null,
      subscription_item_details: {
        invoice_item: proration ? newId("ii") : null,
        proration,
        proration_details: { credited_items: null },
        subscription: subscription.id,
        subscription_item: item.id,
      },
    },
    period: wish.period,
    pretax_credit_amounts: [],
    pricing: {
      type: "price_details",
      price_details: { price: item.price.id, product: idOf(item.price.product) ?? "" },
      unit_amount_decimal: decimalOf(item.price.unit_amount ?? 0),
    },
    quantity: item.quantity ?? 1,
    quantity_decimal: decimalOf(item.quantity ?? 1),
    subscription: subscription.id,
    subtotal: amount,
    taxes: [],
  };
}

/** What an invoice is made of. */
export interface InvoiceWish {
  subscription: Stripe.Subscription;
  reason: "subscription_create" | "subscription_cycle" | "subscription_update";
  lines: Stripe.InvoiceLineItem[];
  period: { start: number; end: number };
}

/** A draft. Its amounts are final only when it is finalized, which applies the customer's balance. */
export function invoiceShape(account: Account, { subscription, reason, lines, period }: InvoiceWish): Stripe.Invoice {
  const id = newId("in");
  const customer = account.find(account.state.customers, "customer", idOf(subscription.customer) ?? "");
  const total = lines.reduce((sum, { amount }) => sum + amount, 0);
  for (const line of lines) {
    line.invoice = id;
  }
  return {
    id,
    object: "invoice",
    account_country: "US",
    account_name: "Miniature",
    account_tax_ids: null,
    amount_due: Math.max(0, total),
    amount_overpaid: 0,
    amount_paid: 0,
    amount_remaining: Math.max(0, total),
    amount_shipping: 0,
    application: null,
    attempt_count: 0,
    attempted: false,
    auto_advance: true,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
    automatically_finalizes_at: account.seconds() + account.policies.draft_seconds,
    billing_reason: reason,
    collection_method: "charge_automatically",
    created: account.seconds(),
    currency: subscription.currency,
    custom_fields: null,
    customer: customer.id,
    customer_account: null,
    customer_address: null,
    customer_email: customer.email,
    customer_name: customer.name ?? null,
    customer_phone: customer.phone ?? null,
    customer_shipping: null,
    customer_tax_exempt: "none",
    customer_tax_ids: [],
    default_payment_method: null,
    default_source: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    due_date: null,
    effective_at: null,
    ending_balance: null,
    footer: null,
    from_invoice: null,
    hosted_invoice_url: null,
    invoice_pdf: null,
    issuer: { type: "self" },
    last_finalization_error: null,
    latest_revision: null,
    lines: {
      ...whole(`/v1/invoices/${id}/lines`, lines.slice(0, shownLines)),
      has_more: lines.length > shownLines,
    },
    livemode: false,
    metadata: {},
    next_payment_attempt: null,
    number: null,
    on_behalf_of: null,
    parent: {
      type: "subscription_details",
      quote_details: null,
      subscription_details: { metadata: { ...subscription.metadata }, subscription: subscription.id },
    },
    payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
    period_end: period.end,
    period_start: period.start,
    post_payment_credit_notes_amount: 0,
    pre_payment_credit_notes_amount: 0,
    receipt_number: null,
    rendering: null,
    shipping_cost: null,
    shipping_details: null,
    starting_balance: customer.balance,
    statement_descriptor: null,
    status: "draft",
    status_transitions: { finalized_at: null, marked_uncollectible_at: null, paid_at: null, voided_at: null },
    subtotal: total,
    subtotal_excluding_tax: total,
    test_clock: null,
    total,
    total_discount_amounts: [],
    total_excluding_tax: total,
    total_pretax_credit_amounts: [],
    total_taxes: [],
    webhooks_delivered_at: null,
  };
}
