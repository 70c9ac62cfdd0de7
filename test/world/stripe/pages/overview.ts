import type Stripe from "stripe";
import type { Account } from "../account.ts";
import type { ApiAnswer } from "../api.ts";
import { hasEnded } from "../billing/ending.ts";
import { firstItem } from "../billing/lifecycle.ts";
import { idOf } from "../ids.ts";
import type { Html } from "./html.ts";
import { button, html, htmlPage, instant, money } from "./html.ts";

/** How many of each the page shows. */
const shown = 50;

function latest<Item>(items: Map<string, Item>): Item[] {
  return [...items.values()].toReversed().slice(0, shown);
}

/** What the account has, with buttons for what people and banks do. */
export function overview(account: Account): ApiAnswer {
  const { state } = account;
  const now = account.now();
  const later = (days: number): string => new Date(now + days * 86_400_000).toISOString();
  return htmlPage(
    "Stripe in miniature",
    html`<p>
        It is ${new Date(now).toISOString()}.
        ${[1, 3, 7, 31].map((days) => button("/miniature/clock", `+ ${days} days`, { now: later(days) }))}
        <a href="/miniature/events">Events</a>
      </p>
      ${section(
        "Customers",
        latest(state.customers).map((customer) => customerRow(account, customer)),
      )}
      ${section("Checkout sessions", latest(state.sessions).map(sessionRow))}
      ${section("Subscriptions", latest(state.subscriptions).map(subscriptionRow))}
      ${section("Invoices", latest(state.invoices).map(invoiceRow))}
      ${section("Payments", latest(state.charges).map(chargeRow))}
      ${section("Refunds", latest(state.refunds).map(refundRow))}
      ${section("Disputes", latest(state.disputes).map(disputeRow))}`,
  );
}

function section(title: string, rows: Html[]): Html {
  return html`<h2>${title}</h2>
    <table>
      ${
        rows.length === 0
          ? html`<tr>
              <td>None yet.</td>
            </tr>`
          : rows
      }
    </table>`;
}

function row(...cells: (Html | Html[] | string)[]): Html {
  return html`<tr>
    ${cells.map((cell) => html`<td>${cell}</td>`)}
  </tr>`;
}

function customerRow(account: Account, customer: Stripe.Customer): Html {
  const card = account.state.cards.get(customer.id) ?? "pays";
  const declines = card === "pays";
  const label = declines ? "Let the card decline" : "Let the card pay";
  const path = `/miniature/customers/${customer.id}/card`;
  return row(customer.id, customer.email ?? "", `card ${card}`, button(path, label, { declines: String(declines) }));
}

function sessionRow(session: Stripe.Checkout.Session): Html {
  const path = `/miniature/sessions/${session.id}/payment`;
  const waiting = session.status === "complete" && session.payment_status === "unpaid";
  return row(
    `${session.id.slice(0, 20)}…`,
    `${session.mode}, ${money(session.amount_total, session.currency)}`,
    `${session.status}, ${session.payment_status}`,
    session.url === null
      ? waiting
        ? [button(path, "Arrives", { succeeds: "true" }), button(path, "Fails", { succeeds: "false" })]
        : ""
      : html`<a href="/pay/${session.id}">Pay page</a>`,
  );
}

function subscriptionRow(subscription: Stripe.Subscription): Html {
  const { price, quantity, current_period_end: end } = firstItem(subscription);
  const ends = subscription.cancel_at_period_end ? "ends" : "renews";
  return row(
    subscription.id,
    idOf(subscription.customer) ?? "",
    `${price.lookup_key ?? price.id} × ${quantity ?? 1}`,
    subscription.status,
    hasEnded(subscription) ? "" : `${ends} ${instant(end)}`,
  );
}

function invoiceRow(invoice: Stripe.Invoice): Html {
  const next = invoice.next_payment_attempt;
  return row(
    invoice.id,
    invoice.billing_reason ?? "",
    money(invoice.amount_due, invoice.currency),
    invoice.status ?? "",
    next === null ? "" : `tried ${invoice.attempt_count} times, again ${instant(next)}`,
  );
}

function chargeRow(charge: Stripe.Charge): Html {
  const refundable = charge.status === "succeeded" && !charge.disputed;
  return row(
    idOf(charge.payment_intent) ?? "",
    `${money(charge.amount, charge.currency)}, refunded ${money(charge.amount_refunded, charge.currency)}`,
    charge.disputed ? "disputed" : charge.status,
    refundable
      ? [
          button("/miniature/refunds", "Refund", { payment_intent: idOf(charge.payment_intent) ?? "" }),
          button("/miniature/disputes", "Dispute", { payment_intent: idOf(charge.payment_intent) ?? "" }),
        ]
      : "",
  );
}

function refundRow(refund: Stripe.Refund): Html {
  const path = `/miniature/refunds/${refund.id}/fail`;
  return row(
    refund.id,
    money(refund.amount, refund.currency),
    refund.status ?? "",
    refund.status === "succeeded" ? button(path, "Let it fail") : "",
  );
}

function disputeRow(dispute: Stripe.Dispute): Html {
  const path = `/miniature/disputes/${dispute.id}/close`;
  const closed = dispute.status === "won" || dispute.status === "lost";
  return row(
    dispute.id,
    money(dispute.amount, dispute.currency),
    dispute.status,
    closed ? "" : [button(path, "Won", { status: "won" }), button(path, "Lost", { status: "lost" })],
  );
}
