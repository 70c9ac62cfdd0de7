import { Webhook } from "standardwebhooks";
import { z } from "zod";
import { startPeer } from "./peer.ts";
import type { Peer, PeerRequest } from "./peer.ts";

const event = z.strictObject({
  type: z.string(),
  timestamp: z.iso.datetime(),
  data: z.looseObject({ id: z.string(), version: z.int(), workspace_id: z.string().nullable() }),
});

/** An event as a receiver has it. */
export interface Received extends z.infer<typeof event> {
  /** The webhook-id. */
  id: string;
}

/** An operator's own system in miniature, as README tells one to write it: it verifies, deduplicates, and sorts by version. */
export interface Receiver {
  peer: Peer;
  /** Where an endpoint points. */
  url: string;
  /** What it takes signatures of. */
  secrets: string[];
  /** Each event once, in the order in which they came first. */
  events: Received[];
  /** How often each id came, verified. */
  times: Map<string, number>;
  /** What it knows of each resource: the newest version's data. */
  knows: Map<string, Received>;
  /** Why a request was refused, each. */
  refused: string[];
  /** What else it answers; without, 204. */
  answer: number;
  stop(): Promise<void>;
}

/** Starts one. Every path is an endpoint. */
export async function startReceiver({
  port = 0,
  secrets = [],
}: { port?: number; secrets?: string[] } = {}): Promise<Receiver> {
  const peer = await startPeer({ port, handle: (request) => ({ status: take(request) }) });
  const receiver: Receiver = {
    peer,
    url: `${peer.url}/webhooks`,
    secrets,
    events: [],
    times: new Map(),
    knows: new Map(),
    refused: [],
    answer: 204,
    stop: () => peer.stop(),
  };
  return receiver;

  function take(request: PeerRequest): number {
    const id = request.headers["webhook-id"] ?? "";
    const parsed = event.safeParse(verified(request));
    if (parsed.data === undefined) {
      receiver.refused.push(parsed.error.message);
      return 400;
    }
    if (receiver.answer >= 300) return receiver.answer;
    const times = receiver.times.get(id) ?? 0;
    receiver.times.set(id, times + 1);
    if (times === 0) {
      const received = { id, ...parsed.data };
      receiver.events.push(received);
      const known = receiver.knows.get(received.data.id)?.data.version ?? 0;
      if (received.data.version > known) receiver.knows.set(received.data.id, received);
    }
    return receiver.answer;
  }

  /** What one of the secrets has signed; null: none has. */
  function verified({ text, headers }: PeerRequest): unknown {
    for (const secret of receiver.secrets) {
      try {
        return new Webhook(secret).verify(text, { ...headers });
      } catch {
        // Perhaps another secret's.
      }
    }
    return null;
  }
}
