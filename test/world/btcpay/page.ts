import { decimal, type Invoice, paidMinor } from "./invoice.ts";

const acts = [
  ["pay", "Pay all of it"],
  ["partly", "Pay half of it"],
  ["over", "Pay 1 more than asked for"],
  ["confirm", "Confirm what came"],
  ["expire", "Let it expire"],
] as const;

/** What a person can do on an invoice's page. */
export type Act = (typeof acts)[number][0];

export const isAct = (word: string): word is Act => acts.some(([act]) => act === word);

/** The page at `checkoutLink`, with the buttons that stand for a wallet, a chain and time. */
export function pageOf(invoice: Invoice, back: string | null): string {
  const buttons = acts.map(
    ([act, label]) => `<form method="post" action="/i/${invoice.id}/${act}"><button>${label}</button></form>`,
  );
  const [asked, paid] = [invoice.minor, paidMinor(invoice)].map((minor) => decimal(minor, invoice.currency));
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Invoice ${invoice.id}</title>
<h1>${asked} ${invoice.currency}</h1><p>BTCPay Server in miniature: no coins are moved.</p>
<p>${invoice.status} (${invoice.additional}); came: ${paid}</p>${buttons.join("")}
${back === null ? "" : `<p><a href="${back.replaceAll("&", "&amp;").replaceAll('"', "&quot;")}">Return to the shop</a></p>`}</html>`;
}
