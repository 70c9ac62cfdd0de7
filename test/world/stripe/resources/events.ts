import type { Account } from "../account.ts";
import { day } from "../calendar.ts";
import { missing } from "../failure.ts";
import { page } from "../list.ts";
import { paging, partOf } from "../route.ts";
import type { Route } from "../route.ts";

/** Whether Stripe would still show an event: it forgets after 30 days. */
function isKept(account: Account, { created }: { created: number }): boolean {
  return created > account.seconds() - 30 * day;
}

/** Takes out what Stripe would have forgotten: a stack that is kept for months would grow for ever. */
export function forget(account: Account): void {
  const { state } = account;
  for (const event of state.events.values()) {
    if (!isKept(account, event)) {
      state.events.delete(event.id);
    }
  }
  for (const delivery of state.deliveries.values()) {
    if (!state.events.has(delivery.event)) {
      state.deliveries.delete(delivery.id);
    }
  }
  for (const [key, { created }] of state.answers) {
    if (created < account.now() - day * 1000) {
      state.answers.delete(key);
    }
  }
}

export const events: Route[] = [
  {
    method: "GET",
    path: "/v1/events/:id",
    takes: "",
    run(call) {
      const found = call.account.state.events.get(partOf(call));
      if (found === undefined || !isKept(call.account, found)) {
        throw missing("event", partOf(call));
      }
      return found;
    },
  },
  {
    method: "GET",
    path: "/v1/events",
    takes: `${paging} type types created delivery_success`,
    run(call) {
      const { account, params } = call;
      const [type, types] = [params.text("type"), params.texts("types")];
      const success = params.flag("delivery_success");
      const failed = new Set(
        [...account.state.deliveries.values()].filter(({ state }) => state !== "delivered").map(({ event }) => event),
      );
      const found = [...account.state.events.values()].filter(
        (event) =>
          isKept(account, event) &&
          (type === undefined || typeMatches(type, event.type)) &&
          (types.length === 0 || types.includes(event.type)) &&
          (success === undefined || failed.has(event.id) !== success),
      );
      return page(call, "/v1/events", found);
    },
  },
];

/** `type` may end in a wildcard, as in `invoice.*`. */
function typeMatches(wanted: string, type: string): boolean {
  return wanted.endsWith("*") ? type.startsWith(wanted.slice(0, -1)) : wanted === type;
}
