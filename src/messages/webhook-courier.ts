import * as z from "zod";
import { routine } from "../db/routine.ts";
import { instant } from "../http/time.ts";
import { Refused } from "../outside/peer.ts";
import { endpointSecret } from "../outside/webhook/secret.ts";
import { postWebhook } from "../outside/webhook/send.ts";
import type { Courier } from "./courier.ts";

const webhooksCall = routine({
  name: "messages.webhooks_of",
  context: {},
  args: z.strictObject({ ids: z.array(z.string()) }),
  result: z.object({
    message_ids: z.array(z.string()),
    event_ids: z.array(z.string()),
    types: z.array(z.string()),
    told_at: z.array(instant),
    data: z.array(z.record(z.string(), z.unknown())),
    endpoint_ids: z.array(z.string()),
    urls: z.array(z.string()),
    secret_numbers: z.array(z.int()),
    old_counts: z.array(z.boolean()),
  }),
});

interface Account {
  key: Uint8Array<ArrayBuffer>;
  local: boolean;
}

/** Events for the operator's endpoints. The same event has the same id and body at every try, and to every endpoint. */
export const webhookCourier: Courier<Account> = webhooksWithin(15_000);

/** The same, with another patience for an answer. */
export function webhooksWithin(timeout_ms: number): Courier<Account> {
  return {
    channel: "webhook",
    account: ({ webhook_key, local }) => (webhook_key === null ? null : { key: webhook_key, local }),
    calls: [webhooksCall],
    sender: async (shift, { key, local }, batch) => {
      const found = await shift.call(webhooksCall, { ids: batch.map(({ id }) => id) });
      const secrets = new Map<string, Promise<string>>();
      const secretOf = (endpoint: string, number: number): Promise<string> => {
        const name = `${endpoint} ${number}`;
        const made = secrets.get(name) ?? endpointSecret(key, endpoint, number);
        secrets.set(name, made);
        return made;
      };
      return async (delivery) => {
        const at = found.message_ids.indexOf(delivery.id);
        const [id, type, timestamp, data] = [found.event_ids[at], found.types[at], found.told_at[at], found.data[at]];
        const [endpoint, url, number] = [found.endpoint_ids[at], found.urls[at], found.secret_numbers[at]];
        if (id === undefined || endpoint === undefined || url === undefined || number === undefined) {
          throw new Refused("its event has gone");
        }
        const numbers = found.old_counts[at] === true ? [number, number - 1] : [number];
        await postWebhook({
          url,
          local,
          timeout_ms,
          id,
          body: JSON.stringify({ type, timestamp, data }),
          secrets: await Promise.all(numbers.map((one) => secretOf(endpoint, one))),
        });
      };
    },
  };
}
