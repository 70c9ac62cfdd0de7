import type { StripeAccount } from "../env.ts";
import { describe } from "../http/request.ts";
import type { Arrival } from "../outside/arrival.ts";
import { retrieveInvoice } from "../outside/btcpay/invoices.ts";
import { arrivalOf } from "../outside/stripe/event.ts";
import { eventTypes } from "../outside/stripe/fact.ts";
import { listEvents } from "../outside/stripe/lists.ts";
import { fetchFact } from "../outside/stripe/objects.ts";
import { moveCursorCall, openCursorCall } from "../sweeps/cursor.ts";
import type { Done, Shift } from "../sweeps/shift.ts";
import { askedBatch, btcpaySweep, stripeSweep, sweep } from "../sweeps/sweep.ts";
import { applyFetchedCall, claimFetchesCall, missingCall, type Provider, receiveCall, received } from "./inbox.ts";

/** Longer than a question with its repeat, behind others: who took this long has died. */
const lease = "2 minutes";

/** What was fetched of an event; null fact: it concerns nothing of ours. */
interface Fetched {
  fact: object | null;
  fault: string | null;
}

/** Events whose object must be fetched are given it. */
async function fetches(
  shift: Shift,
  provider: Provider,
  fetch: (type: string, subject: string | null) => Promise<Fetched>,
): Promise<Done> {
  const { ids, types, subjects } = await shift.call(claimFetchesCall, { provider, batch: askedBatch, lease });
  const due = ids.map((id, i) => ({ id, type: types[i] ?? "", subject: subjects[i] ?? null }));
  const done = await shift.each(
    due,
    ({ id }) => id,
    async ({ id, type, subject }) => {
      const { fact, fault } = await shift.ask(() => fetch(type, subject));
      await shift.call(applyFetchedCall, { provider, id, fact: fact === null ? null : { ...fact }, fault });
    },
  );
  return { ...done, more: due.length === askedBatch };
}

const list = "stripe_events";

/**
 * A page of Stripe's list of events, newest first: those that the inbox lacks are received as if they had been delivered,
 * the oldest first. Stripe keeps 30 days, and where nobody looked for longer an alarm says since when. An hour is read again,
 * for an event may show in the list late.
 */
async function events(shift: Shift, account: StripeAccount): Promise<Done> {
  const { since, until, position } = await shift.call(openCursorCall, {
    name: list,
    overlap: "1 hour",
    furthest: "30 days",
    lost: "events_lost",
  });
  const page = await shift.ask(() => listEvents(account, { since, until, after: position }));
  if (page === null) {
    await shift.call(moveCursorCall, { name: list, position: null, done: false, until });
    return { processed: 0, failed: 0, more: true };
  }
  const listed: { arrival: Arrival; payload: string }[] = [];
  let failed = 0;
  for (const event of page.data) {
    try {
      const arrival = await arrivalOf(event, account);
      if (eventTypes.includes(arrival.type)) listed.push({ arrival, payload: JSON.stringify(event) });
    } catch (error) {
      // One that nobody can read must not stand before all that came after it.
      failed += 1;
      console.error(JSON.stringify({ sweep: shift.name, item: "an event of the list", error: describe(error) }));
    }
  }
  const { ids } = await shift.call(missingCall, { provider: "stripe", ids: listed.map(({ arrival }) => arrival.id) });
  const missing = new Set(ids);
  let processed = 0;
  for (const { arrival, payload } of listed.filter(({ arrival: { id } }) => missing.has(id)).toReversed()) {
    // The cursor stays where it is: the next run finds what is still missing on this page.
    if (shift.over()) return { processed, failed, more: true };
    await shift.call(receiveCall, received("stripe", arrival, payload));
    processed += 1;
  }
  await shift.call(moveCursorCall, { name: list, position: page.next, done: page.next === null, until });
  return { processed, failed, more: page.next !== null };
}

/**
 * Events: what failed or waits is tried again, what must be fetched is fetched, what was never delivered is looked for.
 * Retention: stored answers, sweep runs and events go after 35 days, closed alarms after 400.
 */
export const sweeps = [
  sweep("ops", "events_retry", 60),
  stripeSweep("stripe_fetches", 60, [claimFetchesCall, applyFetchedCall], (shift, account) =>
    fetches(shift, "stripe", (type, subject) => fetchFact(account, type, subject)),
  ),
  btcpaySweep("btcpay_fetches", 60, [claimFetchesCall, applyFetchedCall], (shift, account) =>
    fetches(shift, "btcpay", async (_type, invoice) => ({
      fact: invoice === null ? null : await retrieveInvoice(account, invoice),
      fault: null,
    })),
  ),
  stripeSweep(list, 300, [openCursorCall, missingCall, receiveCall, moveCursorCall], events),
  sweep("ops", "events_expire", 3600),
  sweep("ops", "requests_expire", 300),
  sweep("ops", "sweep_runs_expire", 3600),
  sweep("ops", "alarms_expire", 3600),
];
