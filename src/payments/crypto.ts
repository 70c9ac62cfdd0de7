import type { BtcpayAccount } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import { Problem } from "../http/problem.ts";
import type { InvoiceFact } from "../outside/btcpay/invoice.ts";
import { createInvoice, endInvoice, invoicesOf } from "../outside/btcpay/invoices.ts";
import { instantOf } from "../outside/instant.ts";
import { abandonCheckout, recordSession, type Started } from "./store.ts";

type Claimed = Started & { token: string };

/**
 * The invoice of a purchase, made by whoever holds its token. BTCPay takes no idempotency key: where somebody may have made one and died,
 * or where its answer is lost, it is looked for by the purchase's id. Throws `provider_refused`, `provider_unavailable`.
 */
export async function makeInvoice(
  c: AppContext,
  account: BtcpayAccount,
  workspace: string,
  row: Claimed,
): Promise<Started> {
  const known = row.search_session === true ? await invoiceOf(account, row) : null;
  const made = known ?? (await newInvoice(c, account, workspace, row));
  const { id, token } = row;
  const session = { session_id: made.invoice, url: made.url, expires_at: instantOf(made.expires_at) };
  const stands = await recordSession(c, { id, token, ...session });
  // The purchase has another one by now, or was ended: nobody may pay this one. What is paid all the same is kept.
  if (stands.session_id !== made.invoice) await endInvoice(account, made.invoice);
  return { ...row, ...stands };
}

/** The first that was made for the purchase, of its amount: at some stores anybody may make one that names it. */
async function invoiceOf(account: BtcpayAccount, row: Started): Promise<InvoiceFact | null> {
  const all = await invoicesOf(account, row.id);
  return all.find((invoice) => isOf(invoice, row)) ?? null;
}

const isOf = ({ amount_minor, currency }: InvoiceFact, row: Started) =>
  amount_minor === row.amount_minor && currency === row.session_currency;

async function newInvoice(
  c: AppContext,
  account: BtcpayAccount,
  workspace: string,
  row: Claimed,
): Promise<InvoiceFact> {
  const order = {
    purchase: row.id,
    workspace,
    amount_minor: row.amount_minor,
    currency: row.session_currency,
    name: row.name,
    success_url: row.success_url,
  };
  try {
    const made = await createInvoice(account, order);
    if (isOf(made, row)) return made;
    await endInvoice(account, made.invoice);
    throw new Problem("provider_refused", {
      detail: "BTCPay has no such amount in this currency",
      provider_code: null,
    });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // This purchase can never be paid, and must not stand in the way of another.
    if (error.code === "provider_refused") await abandonCheckout(c, row.id, row.token);
    const found = error.code === "provider_unavailable" ? await invoiceOf(account, row).catch(() => null) : null;
    if (found === null) throw error;
    return found;
  }
}
