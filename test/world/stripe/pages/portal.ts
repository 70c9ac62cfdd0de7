import type { Account } from "../account.ts";
import type { ApiAnswer } from "../api.ts";
import { hasEnded } from "../billing/ending.ts";
import { collect } from "../billing/invoices.ts";
import { firstItem } from "../billing/lifecycle.ts";
import { idOf } from "../ids.ts";
import { Params } from "../params.ts";
import { updateSubscription } from "../resources/subscription-update.ts";
import { button, html, htmlPage, instant, money, redirect } from "./html.ts";

/** The page on which a customer looks after their subscriptions, as the billing portal's. */
export function portalPage(account: Account, id: string): ApiAnswer {
  const session = account.find(account.state.portal_sessions, "billing_portal.session", id);
  const mine = [...account.state.subscriptions.values()].filter(({ customer }) => customer === session.customer);
  const rows = mine.map((subscription) => {
    const item = firstItem(subscription);
    const act = subscription.cancel_at_period_end ? "renew" : "cancel";
    const label = act === "cancel" ? "Cancel at the period's end" : "Do not cancel";
    return html`<tr>
      <td>
        ${account.state.products.get(idOf(item.price.product) ?? "")?.name ?? item.price.id} × ${item.quantity ?? 1}
      </td>
      <td>${subscription.status}</td>
      <td>${instant(item.current_period_end)}</td>
      <td>${hasEnded(subscription) ? "" : button(`/portal/${id}`, label, { subscription: subscription.id, act })}</td>
    </tr>`;
  });
  const invoices = [...account.state.invoices.values()]
    .filter(({ customer }) => customer === session.customer)
    .toReversed()
    .map(
      (invoice) =>
        html`<tr>
          <td>${instant(invoice.created)}</td>
          <td>${money(invoice.total, invoice.currency)}</td>
          <td>${invoice.status}</td>
          <td>
            ${invoice.status === "open" ? button(`/portal/${id}`, "Pay now", { invoice: invoice.id, act: "pay" }) : ""}
          </td>
        </tr>`,
    );
  const card = account.state.cards.get(session.customer) ?? "pays";
  return htmlPage(
    "Billing",
    html`<table>
        ${rows}
      </table>
      <p>
        Card: ${card} ${button(`/portal/${id}`, "Use a card that pays", { act: "card_pays" })}
        ${button(`/portal/${id}`, "Use a card that declines", { act: "card_declines" })}
      </p>
      <h2>Invoices</h2>
      <table>
        ${invoices}
      </table>
      ${session.return_url === null ? "" : html`<p><a href="${session.return_url}">Back to the shop</a></p>`}`,
  );
}

/** What a click on the page does. */
export function clickPortal(account: Account, id: string, form: URLSearchParams): ApiAnswer {
  const session = account.find(account.state.portal_sessions, "billing_portal.session", id);
  const act = form.get("act");
  if (act === "card_pays" || act === "card_declines") {
    account.state.cards.set(session.customer, act === "card_pays" ? "pays" : "declines");
  } else if (act === "pay") {
    const invoice = account.find(account.state.invoices, "invoice", form.get("invoice") ?? "", "invoice");
    if (invoice.customer === session.customer && invoice.status === "open") {
      collect(account, invoice);
    }
  } else {
    const wanted = form.get("subscription") ?? "";
    const subscription = account.find(account.state.subscriptions, "subscription", wanted, "subscription");
    if (subscription.customer === session.customer && !hasEnded(subscription)) {
      const wish = new URLSearchParams({ cancel_at_period_end: String(act === "cancel") });
      updateSubscription(account, subscription, Params.of(wish));
    }
  }
  return redirect(`/portal/${id}`);
}
