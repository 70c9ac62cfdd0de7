import type Stripe from "stripe";
import type { Account } from "../account.ts";
import type { ApiAnswer } from "../api.ts";
import { secretsOf } from "../billing/checkout.ts";
import type { PayOutcome } from "../billing/checkout.ts";
import type { Control } from "../control.ts";
import { invalid } from "../failure.ts";
import { idOf } from "../ids.ts";
import { html, htmlPage, money, redirect } from "./html.ts";

const outcomes: [PayOutcome, string][] = [
  ["pay", "Pay"],
  ["decline", "Pay (card declines)"],
  ["later_succeeds", "Pay later (succeeds after some days)"],
  ["later_fails", "Pay later (fails after some days)"],
];

/** The page on which a person pays, as Checkout's. */
export function payPage(account: Account, id: string, message = ""): ApiAnswer {
  const session = account.find(account.state.sessions, "checkout.session", id);
  if (session.status !== "open") {
    return htmlPage("Checkout", html`<p>This checkout session is ${session.status}.</p>`, 410);
  }
  const lines = secretsOf(account, session).line_items.map(
    (line) =>
      html`<tr>
        <td>${line.description} × ${line.quantity}</td>
        <td>${money(line.amount_total, line.currency)}</td>
      </tr>`,
  );
  const buttons = outcomes.map(([outcome, label]) => html`<button name="outcome" value="${outcome}">${label}</button>`);
  return htmlPage(
    "Checkout",
    html`<p role="alert">${message}</p>
      <table>
        ${lines}
        <tr>
          <th>Due today</th>
          <th>${money(session.amount_total, session.currency)}</th>
        </tr>
      </table>
      <form method="post">
        <p>
          <label>Email <input name="email" type="email" value="${emailOf(account, session)}" /></label>
        </p>
        ${buttons}
        <button name="outcome" value="cancel">Cancel</button>
      </form>`,
  );
}

/** What a click on the page does: a payment leads to the success page, a cancel back to the shop. */
export async function clickPay(
  account: Account,
  control: Control,
  settled: () => Promise<void>,
  id: string,
  form: URLSearchParams,
): Promise<ApiAnswer> {
  const session = account.find(account.state.sessions, "checkout.session", id);
  const outcome = form.get("outcome") ?? "pay";
  if (outcome === "cancel") {
    return redirect(session.cancel_url ?? `${account.url}/`);
  }
  const known = outcomes.find(([word]) => word === outcome)?.[0];
  if (known === undefined) {
    throw invalid(`No such outcome: ${outcome}`, "outcome");
  }
  if (session.status !== "open") {
    return payPage(account, id);
  }
  const paid = control.pay(id, known, form.get("email") || null);
  if (paid.status !== "complete") {
    return payPage(account, id, "Your card was declined. Try another one.");
  }
  // Checkout too brings its events to the shop before it sends the person back.
  await settled();
  return redirect((paid.success_url ?? `${account.url}/`).replaceAll("{CHECKOUT_SESSION_ID}", id));
}

function emailOf(account: Account, session: Stripe.Checkout.Session): string {
  const customer = account.state.customers.get(idOf(session.customer) ?? "");
  return customer?.email ?? session.customer_email ?? "";
}
