import * as z from "zod";
import type { StripeAccount } from "../../env.ts";
import { stripePackage } from "./client.ts";
import type { Arrival } from "../arrival.ts";
import { eventTypes, factOf } from "./fact.ts";
import { absent, id, seconds } from "./facts/parts.ts";
import { instantOf } from "../instant.ts";
import { noEvent } from "./signature.ts";

const envelope = z.object({
  id,
  type: z.string().regex(/^[a-z0-9_.]{1,200}$/),
  created: seconds,
  livemode: z.boolean(),
  api_version: absent(z.string()),
  account: absent(z.string()),
  data: z.object({ object: z.looseObject({}) }),
});

/** Reads an event of Stripe's, delivered or listed. Throws `Problem` `validation_failed` for what is none. */
export async function arrivalOf(event: unknown, account: StripeAccount): Promise<Arrival> {
  const parsed = envelope.safeParse(event);
  if (!parsed.success) throw noEvent(parsed.error);
  const { type, data, ...found } = parsed.data;
  const subject = id.safeParse(data.object["id"]).data ?? null;
  const arrival: Arrival = {
    id: found.id,
    type,
    subject,
    occurred_at: instantOf(found.created),
    fact: null,
    foreign_because: null,
    fetch_because: null,
    fault: null,
  };
  if (found.account !== null) return { ...arrival, foreign_because: "account" };
  if (found.livemode !== account.live) return { ...arrival, foreign_because: "livemode" };
  if (!eventTypes.includes(type)) return arrival;
  const { API_VERSION } = await stripePackage();
  // The shape follows the version that the endpoint was made with, and the facts are read in the package's.
  if (found.api_version !== API_VERSION) return { ...arrival, fetch_because: "api_version" };
  const { fact, lacks, fault } = factOf(type, data.object);
  return { ...arrival, fact, fetch_because: lacks, fault };
}
