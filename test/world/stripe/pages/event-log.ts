import type Stripe from "stripe";
import type { Account } from "../account.ts";
import type { ApiAnswer } from "../api.ts";
import { button, html, htmlPage, instant } from "./html.ts";

/** What happened, newest first, and whether it was brought to the endpoints. */
export function eventLog(account: Account): ApiAnswer {
  const recent = [...account.state.events.values()].toReversed().slice(0, 200);
  const rows = recent.map((event) => {
    const states = [...account.state.deliveries.values()]
      .filter((delivery) => delivery.event === event.id)
      .map(({ state, attempts, last_status: status }) => `${state} (${attempts} × ${status ?? "no answer"})`);
    return html`<tr>
      <td>${instant(event.created)}</td>
      <td>${event.type}</td>
      <td>${idIn(event)}</td>
      <td>${states.join(", ")}</td>
      <td>${button(`/miniature/events/${event.id}/deliver`, "Send")}</td>
    </tr>`;
  });
  return htmlPage(
    "Events",
    html`<table>
      ${rows}
    </table>`,
  );
}

function idIn({ data: { object } }: Stripe.Event): string {
  return "id" in object && typeof object.id === "string" ? object.id : "";
}
