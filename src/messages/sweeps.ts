import * as z from "zod";
import { routine } from "../db/routine.ts";
import type { StripeAccount } from "../env.ts";
import { describe } from "../http/request.ts";
import { undoSubscription } from "../outside/stripe/undo.ts";
import type { Done, Shift } from "../sweeps/shift.ts";
import { askedBatch, stripeSweep, sweep } from "../sweeps/sweep.ts";

/** Longer than all steps of an undoing with their repeats: who took this long has died. */
const lease = "10 minutes";

const claimCall = routine({
  name: "messages.claim",
  context: {},
  args: z.strictObject({ channel: z.string(), batch: z.int(), lease: z.string() }),
  result: z.object({
    ids: z.array(z.string()),
    kinds: z.array(z.string()),
    bodies: z.array(z.record(z.string(), z.unknown())),
    tokens: z.array(z.string()),
  }),
});

const settleCall = routine({
  name: "messages.settle",
  context: {},
  args: z.strictObject({ id: z.string(), token: z.string() }),
  result: z.object({ id: z.string(), state: z.string() }),
});

const failCall = routine({
  name: "messages.fail",
  context: {},
  args: z.strictObject({ id: z.string(), token: z.string(), error: z.string(), final: z.boolean() }),
  result: z.object({ id: z.string(), state: z.string() }),
});

/** What Stripe may be told to do: the only kind of message there is for it. */
const message = z.object({ kind: z.literal("undo_subscription"), body: z.object({ subscription: z.string() }) });

/** What Stripe is to do is done there, and settled; each step may have been done before. */
async function outbox(shift: Shift, account: StripeAccount): Promise<Done> {
  const claimed = await shift.call(claimCall, { channel: "stripe", batch: askedBatch, lease });
  const due = claimed.ids.map((id, i) => ({
    id,
    token: claimed.tokens[i] ?? "",
    message: message.safeParse({ kind: claimed.kinds[i], body: claimed.bodies[i] }),
  }));
  const done = await shift.each(
    due,
    ({ id }) => id,
    async ({ id, token, message: { data, error: unreadable } }) => {
      try {
        if (data === undefined) throw unreadable;
        await shift.ask(() => undoSubscription(account, data.body.subscription));
      } catch (error) {
        // Whoever cannot read it now cannot later either; anything else may pass, and after many tries it is an alarm.
        await shift.call(failCall, { id, token, error: describe(error).slice(0, 2000), final: data === undefined });
        throw error;
      }
      await shift.call(settleCall, { id, token });
    },
  );
  return { ...done, more: due.length === askedBatch };
}

/** A message is on its way within a minute; what was delivered is dropped after 35 days. */
export const sweeps = [
  stripeSweep("stripe_outbox", 60, [claimCall, settleCall, failCall], outbox),
  sweep("messages", "outbox_expire", 3600),
];
