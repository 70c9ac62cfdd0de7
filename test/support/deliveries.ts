import type Stripe from "stripe";
import { z } from "zod";
import type { StripeMiniature } from "../world/stripe.ts";
import { idOf } from "../world/stripe/ids.ts";
import type { Dice } from "./dice.ts";

const about = z.object({
  id: z.string(),
  object: z.string(),
  customer: z.string().nullish(),
  payment_intent: z.string().nullish(),
});

/** Whose customer an event is about; null: nobody's. */
export function customerOf({ state }: StripeMiniature, { data }: Stripe.Event): string | null {
  const { id, object, customer, payment_intent } = about.parse(data.object);
  if (object === "customer") return id;
  return customer ?? idOf(state.payment_intents.get(payment_intent ?? "")?.customer);
}

/** Sends an event once, signed as Stripe does; answers the status. */
export async function send(stripe: StripeMiniature, url: string, event: Stripe.Event): Promise<number> {
  const body = JSON.stringify(event);
  const answer = await fetch(`${url}/webhooks/stripe`, {
    method: "POST",
    body,
    headers: { "Content-Type": "application/json", "Stripe-Signature": stripe.sign(body) },
  });
  await answer.arrayBuffer();
  return answer.status;
}

/** Another order, by dice. */
export function shuffled<Item>(items: readonly Item[], dice: Dice): Item[] {
  const left = [...items];
  for (let i = left.length - 1; i > 0; i -= 1) {
    const j = dice(i + 1);
    const [a, b] = [left[i], left[j]];
    if (a !== undefined && b !== undefined) [left[i], left[j]] = [b, a];
  }
  return left;
}
