import { randomUUID } from "node:crypto";
import { call } from "../../../src/db/call.ts";
import { settings as settingsOf } from "../../../src/env.ts";
import type { Courier } from "../../../src/messages/courier.ts";
import { claimCall, courierSweep, settleManyCall } from "../../../src/messages/pump.ts";
import { askPeer, demandOk } from "../../../src/outside/peer.ts";
import { Shift, Tick } from "../../../src/sweeps/shift.ts";
import { startPeer } from "../../world/peer.ts";
import { connect, disconnect, nth } from "../arena.ts";
import type { Arena } from "../arena.ts";
import { startAside } from "../aside.ts";
import type { Group } from "../measure.ts";

/** Messages of one claim, and how many are in flight: the pump's own. */
const [batch, inFlight] = [25, 3];

/**
 * Messages that leave through the pump, to a stand-in that takes so long for each, against the loop that people write first: claim one,
 * send it, settle it. Both have the same number in flight, and send in the same way.
 */
export async function deliveries(arena: Arena, answerMs: number): Promise<Group> {
  const bridge = await startAside({ kind: "bridge", port: arena.cluster.port });
  const peer = await startPeer({ handle: () => ({ status: 200, body: {} }) });
  peer.delay_ms = answerMs;
  const connections = await connect(arena.ownerUrl, 1);
  const owner = nth(connections, 0).client;
  const settings = settingsOf({
    // A client of the driver's is kept for each address, with the way that it was made with.
    DATABASE_URL: `${arena.workerUrl}?application_name=deliveries_${answerMs}`,
    DATABASE_FETCH_ENDPOINT: `http://127.0.0.1:${bridge.port}/sql`,
  });
  const send = async (): Promise<void> => {
    peer.requests.length = 0;
    demandOk(await askPeer(peer.url, { method: "POST", body: "{}" }));
  };
  const queued = new Map<string, number>();
  /** Some thousand at once, so that what it costs to queue them is not what is measured. */
  const stock = async (channel: string, needed: number): Promise<void> => {
    const left = queued.get(channel) ?? 0;
    if (left >= needed) {
      queued.set(channel, left - needed);
      return;
    }
    await owner.query(
      `select messages.enqueue_many($1, 'told', array_agg(null::uuid), array_agg($2 || i), array_agg('{}'::jsonb))
         from generate_series(1, 5000) i`,
      [channel, randomUUID()],
    );
    queued.set(channel, left + 5000 - needed);
  };

  const [pumped, looped] = [`pumped_${answerMs}`, `looped_${answerMs}`];
  const courier: Courier<true> = { channel: pumped, account: () => true, sender: async () => send };
  const sweep = courierSweep(pumped, courier);
  const pump = async (): Promise<void> => {
    await stock(pumped, batch);
    const { processed } = await sweep.work(new Shift(new Tick(settings), pumped, 60_000));
    if (processed !== batch) throw new Error(`of ${batch} messages ${processed} were delivered`);
  };
  const loop = async (): Promise<void> => {
    await stock(looped, 1);
    const trace = { db_ms: 0, round_trips: 0 };
    const claimed = await call(settings.database, claimCall, { channel: looped, batch: 1, lease: "2 minutes" }, trace);
    if (claimed.ids.length !== 1) throw new Error("no message was claimed");
    await send();
    await call(settings.database, settleManyCall, { ids: claimed.ids, tokens: claimed.tokens }, trace);
  };
  const [ofPump, ofLoop] = [
    `deliveries by the pump, ${answerMs} ms an answer`,
    `deliveries by a claim each, ${answerMs} ms an answer`,
  ];
  return {
    sides: [
      { name: ofPump, clients: 1, call: pump, things: batch },
      { name: ofLoop, clients: inFlight, call: loop },
    ],
    ratios: [
      { what: `deliveries: the pump / a claim for each message, ${answerMs} ms an answer`, of: ofPump, to: ofLoop },
    ],
    stop: async () => {
      await disconnect(...connections);
      await peer.stop();
      await bridge.stop();
    },
  };
}
