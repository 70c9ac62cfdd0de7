import * as z from "zod";
import type { StripeAccount } from "../env.ts";
import { Problem } from "../http/problem.ts";
import { Refused, Unavailable } from "../outside/peer.ts";
import { undoSubscription } from "../outside/stripe/undo.ts";
import type { Courier, Delivery } from "./courier.ts";

/** What Stripe may be told to do: the only kind of message there is for it. */
const message = z.object({ kind: z.literal("undo_subscription"), body: z.object({ subscription: z.string() }) });

/** What Stripe is told to do; each step may have been done before. */
export const stripeCourier: Courier<StripeAccount> = {
  channel: "stripe",
  // All steps of an undoing, with their repeats.
  lease: "10 minutes",
  account: ({ stripe }) => stripe,
  sender: async (_shift, account) => (delivery) => send(account, delivery),
};

async function send(account: StripeAccount, { kind, body }: Delivery): Promise<void> {
  const { data, error: unreadable } = message.safeParse({ kind, body });
  // Whoever cannot read it now cannot later either.
  if (data === undefined) throw new Refused("not a message for Stripe", { cause: unreadable });
  try {
    await undoSubscription(account, data.body.subscription);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "provider_unavailable") throw error;
    throw new Unavailable(error.code, null, { cause: error.cause });
  }
}
