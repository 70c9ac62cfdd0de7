import * as z from "zod";
import type { BtcpayAccount } from "../../env.ts";
import { ask, unreadable } from "./client.ts";
import { decimalOf } from "./decimal.ts";
import { type InvoiceFact, type Reading, readInvoice } from "./invoice.ts";

/** What an invoice is made of: the purchase's row, so that whoever comes again asks for the same. */
export interface InvoiceOrder {
  /** The purchase's id: the invoice's name on both sides. */
  purchase: string;
  workspace: string;
  amount_minor: number;
  currency: string;
  /** What it is called on the page. */
  name: string;
  /** Where the page leads back to; `{CHECKOUT_SESSION_ID}` in it is the invoice's id. */
  success_url: string;
}

/**
 * Makes an invoice. BTCPay takes no idempotency key: whoever may not be the first looks for one before (`invoicesOf`). How many
 * confirmations it waits for, and for how long it can be paid, is the store's; that it is paid to the cent is ours. Throws `Problem`.
 */
export async function createInvoice(account: BtcpayAccount, order: InvoiceOrder): Promise<InvoiceFact> {
  const body = {
    amount: decimalOf(order.amount_minor, order.currency),
    currency: order.currency.toUpperCase(),
    metadata: { orderId: order.purchase, itemDesc: order.name, tollgateWorkspace: order.workspace },
    checkout: {
      paymentTolerance: 0,
      redirectURL: order.success_url.replaceAll("{CHECKOUT_SESSION_ID}", "{InvoiceId}"),
    },
  };
  return read(account, await ask(account, { method: "POST", path: "/invoices", body })).fact;
}

/** More invoices than these no purchase has. */
const most = 50;

/** Every invoice that names a purchase, with its payments, the oldest first: one, unless an answer was lost. Throws `Problem`. */
export async function invoicesOf(account: BtcpayAccount, purchase: string): Promise<InvoiceFact[]> {
  const query = new URLSearchParams({
    orderId: purchase,
    includePaymentMethods: "true",
    includeArchived: "true",
    take: String(most),
  });
  const found = await ask(account, { method: "GET", path: `/invoices?${query.toString()}` });
  const list = z.array(z.unknown()).safeParse(found);
  if (list.data === undefined) throw unreadable(list.error);
  const readings = list.data.map((object) => read(account, object));
  if (readings.some(({ whole }) => !whole)) throw unreadable(new Error("an invoice came without its payments"));
  const named = readings.filter(({ fact }) => fact.purchase?.toLowerCase() === purchase.toLowerCase());
  return named.map(({ fact }) => fact).toSorted((a, b) => a.created - b.created || (a.invoice < b.invoice ? -1 : 1));
}

/** How an invoice stands; null where there is none, or it was made for nothing of ours. Throws `Problem`. */
export async function retrieveInvoice(account: BtcpayAccount, invoice: string): Promise<InvoiceFact | null> {
  const path = `/invoices/${encodeURIComponent(invoice)}?includePaymentMethods=true`;
  const found = await ask(account, { method: "GET", path });
  if (found === null) return null;
  const { fact, whole } = read(account, found);
  if (whole || fact.purchase === null) return fact.purchase === null ? null : fact;
  // Before BTCPay Server 2.4.1 only a list brings the payments, of the same moment as the amounts.
  const all = await invoicesOf(account, fact.purchase);
  return all.find((one) => one.invoice === invoice) ?? null;
}

/**
 * Ends an invoice that nothing has come for, so that it cannot be paid any more, and answers how it stands: one that was paid
 * meanwhile says so, and so does one that is over. Null where there is none. Throws `Problem`.
 */
export async function endInvoice(account: BtcpayAccount, invoice: string): Promise<InvoiceFact | null> {
  const before = await retrieveInvoice(account, invoice);
  if (before === null || before.status !== "New" || before.paid_minor > 0 || before.unconfirmed) return before;
  await ask(account, {
    method: "POST",
    path: `/invoices/${encodeURIComponent(invoice)}/status`,
    body: { status: "Invalid" },
  });
  return retrieveInvoice(account, invoice);
}

function read(account: BtcpayAccount, object: unknown): Reading {
  let reading: Reading;
  try {
    reading = readInvoice(object);
  } catch (error) {
    throw unreadable(error);
  }
  if (reading.store !== account.store_id) throw unreadable(new Error("an invoice of another store's"));
  return reading;
}
