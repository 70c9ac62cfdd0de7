import { Stripe } from "stripe";
import { test as inWorld } from "./world.ts";

/** The account whose events come in. */
export const account = { STRIPE_SECRET_KEY: "sk_test_webhook", STRIPE_WEBHOOK_SECRET: "whsec_current" };

/** `test` with a Worker that takes deliveries, and what its inbox has of an event. */
export const test = inWorld
  .extend("shop", { scope: "file" }, async ({ world }) =>
    world.another({ ...account, STRIPE_WEBHOOK_SECRET_OLD: "whsec_before" }),
  )
  .extend("events", ({ db }) => async (id: string) => {
    const { rows } = await db.query(
      "select id, type, state, outcome, fact, payload, error from ops.event where id = $1",
      [id],
    );
    return rows;
  });

/** Unix seconds. */
export const now = () => Math.floor(Date.now() / 1000);

let made = 0;
/** An event's id that no other has. */
export const newId = () => `evt_${++made}`;

/** An event that concerns nothing of ours. */
export const eventOf = (changes: object = {}) => ({
  id: newId(),
  object: "event",
  type: "product.created",
  api_version: Stripe.API_VERSION,
  created: 1_790_000_000,
  livemode: false,
  data: { object: { id: "prod_1", object: "product" } },
  ...changes,
});

/** A header as Stripe makes it. */
export const sign = (payload: string, secret = account.STRIPE_WEBHOOK_SECRET, timestamp = now()) =>
  Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });

/** Sends a body as it is. */
export async function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream,
  signature: string | null,
) {
  const headers: Record<string, string> = { "Content-Type": "application/json; charset=utf-8" };
  if (signature !== null) headers["Stripe-Signature"] = signature;
  const answer = await fetch(`${url}/webhooks/stripe`, { method: "POST", body, headers, duplex: "half" });
  const read: unknown = await answer.json();
  return { status: answer.status, headers: answer.headers, body: read };
}

/** Sends an event as Stripe does. */
export const deliver = (url: string, event: object) => {
  const body = JSON.stringify(event);
  return post(url, body, sign(body));
};

/**
 * The answer to a body that is refused before all of it was sent. The connection may be closed under the sender before it
 * has read why: that says nothing, and it sends again.
 */
export async function answered<Answer>(send: () => Promise<Answer>): Promise<Answer> {
  for (let times = 0; ; times += 1) {
    try {
      return await send();
    } catch (error) {
      const cut = error instanceof Error && /EPIPE|ECONNRESET/.test(String(error.cause));
      if (!cut || times === 20) throw error;
    }
  }
}
