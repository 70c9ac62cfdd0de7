import * as z from "zod";
import { routine } from "../db/routine.ts";
import type { StripeAccount } from "../env.ts";
import { listSubscriptions } from "../outside/stripe/lists.ts";
import { retrieveSubscription } from "../outside/stripe/subscriptions.ts";
import { moveCursorCall, openCursorCall } from "../sweeps/cursor.ts";
import type { Done, Shift } from "../sweeps/shift.ts";
import { askedBatch, batch, stripeSweep, sweep } from "../sweeps/sweep.ts";
import { syncSubscriptionCall } from "./change.ts";

/** Longer than a question with its repeat, behind others: who took this long has died. */
const lease = "2 minutes";

const claimSyncsCall = routine({
  name: "billing.claim_syncs",
  context: {},
  args: z.strictObject({ batch: z.int(), lease: z.string() }),
  result: z.object({
    ids: z.array(z.string()),
    provider_ids: z.array(z.string()),
    generations: z.array(z.int()),
    asked_at: z.string(),
  }),
});

const compareCall = routine({
  name: "billing.compare_subscriptions",
  context: {},
  args: z.strictObject({ facts: z.string(), asked_at: z.string() }),
  result: z.object({ marked: z.int(), missing: z.array(z.string()) }),
});

const adoptCall = routine({
  name: "billing.adopt_subscription",
  context: {},
  args: z.strictObject({ subscription: z.string(), provider: z.string(), customer: z.string() }),
  result: z.object({ subscription: z.string(), outcome: z.enum(["adopted", "unknown"]) }),
});

const unlistedCall = routine({
  name: "billing.mark_unlisted",
  context: {},
  args: z.strictObject({ listed_at: z.string(), batch: z.int() }),
  result: z.object({ processed: z.int(), more: z.boolean() }),
});

/** Subscriptions that are in doubt are fetched, and written if nobody has written meanwhile. */
async function syncs(shift: Shift, account: StripeAccount): Promise<Done> {
  const { ids, provider_ids, generations, asked_at } = await shift.call(claimSyncsCall, { batch: askedBatch, lease });
  const due = ids.map((id, i) => ({ id, provider_id: provider_ids[i] ?? "", generation: generations[i] ?? 0 }));
  const done = await shift.each(
    due,
    ({ id }) => id,
    async ({ id, provider_id, generation }) => {
      const fact = await shift.ask(() => retrieveSubscription(account, provider_id));
      await shift.call(syncSubscriptionCall, { id, generation, asked_at, fact: fact === null ? null : { ...fact } });
    },
  );
  return { ...done, more: due.length === askedBatch };
}

const list = "stripe_compare";

/**
 * A page of Stripe's subscriptions is held against ours: what differs is marked to be fetched, what only Stripe has is
 * adopted or reported. At the list's end what only we have is marked, and whoever fetches it reports what is gone.
 */
async function compare(shift: Shift, account: StripeAccount): Promise<Done> {
  const { until, position } = await shift.call(openCursorCall, {
    name: list,
    overlap: "0",
    furthest: "1 day",
    lost: null,
  });
  const page = await shift.ask(() => listSubscriptions(account, position));
  if (page === null) {
    await shift.call(moveCursorCall, { name: list, position: null, done: false, until });
    return { processed: 0, failed: 0, more: true };
  }
  const { marked, missing } = await shift.call(compareCall, { facts: JSON.stringify(page.data), asked_at: until });
  const lacking = new Set(missing);
  const adopted = await shift.each(
    page.data.filter(({ subscription }) => lacking.has(subscription)),
    ({ subscription }) => subscription,
    async ({ subscription, customer }) => {
      await shift.call(adoptCall, { subscription, provider: "stripe", customer });
    },
  );
  const done = { processed: marked + adopted.processed, failed: adopted.failed };
  if (page.next !== null) {
    await shift.call(moveCursorCall, { name: list, position: page.next, done: false, until });
    return { ...done, more: true };
  }
  for (let more = true; more;) {
    // The cursor stays where it is: the next run comes here by the last page again.
    if (shift.over()) return { ...done, more };
    const unlisted = await shift.call(unlistedCall, { listed_at: until, batch });
    done.processed += unlisted.processed;
    more = unlisted.more;
  }
  await shift.call(moveCursorCall, { name: list, position: null, done: true, until });
  return { ...done, more: false };
}

/**
 * What is paid from a balance is renewed, ended and told of by the minute. A subscription of Stripe's that is in doubt is fetched
 * within a minute; the whole list is compared each hour.
 */
export const sweeps = [
  sweep("billing", "auto_renew", 60),
  sweep("billing", "expire", 60),
  sweep("billing", "lapse", 60),
  sweep("billing", "trial_expire", 60),
  sweep("billing", "trial_notice", 60),
  sweep("billing", "reminders", 60),
  sweep("billing", "duplicates_settle", 60),
  stripeSweep("stripe_syncs", 60, [claimSyncsCall, syncSubscriptionCall], syncs),
  stripeSweep(list, 3600, [openCursorCall, compareCall, adoptCall, unlistedCall, moveCursorCall], compare),
];
