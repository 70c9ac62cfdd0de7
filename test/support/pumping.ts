import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { settings as settingsOf } from "../../src/env.ts";
import type { Settings } from "../../src/env.ts";
import type { Courier, Delivery } from "../../src/messages/courier.ts";
import { courierSweep } from "../../src/messages/pump.ts";
import { askPeer, demandOk } from "../../src/outside/peer.ts";
import type { Done } from "../../src/sweeps/shift.ts";
import { Shift, Tick } from "../../src/sweeps/shift.ts";
import { startBridge } from "../world/bridge.ts";
import { startPeer } from "../world/peer.ts";
import type { Peer } from "../world/peer.ts";
import type { TestDatabase } from "./database.ts";
import { rows } from "./scenario.ts";
import { Wires } from "./wires.ts";

/** A message, as the outbox has it. */
export interface Kept {
  dedupe_key: string;
  state: string;
  attempts: number;
  error: string | null;
}

/**
 * A channel of a test's own with the pump that delivers it, here and not in a Worker, so that a test holds every wire of it: `peer` takes
 * its messages, and does each that reaches it; `wires` lead to it and to the database.
 */
export class Pumping {
  readonly channel: string;
  readonly peer: Peer;
  readonly wires: Wires;
  /** What the peer was told to do, in order: each message's key, as often as it did it. */
  readonly did: string[];
  readonly #db: Pool;
  readonly #settings: Settings;
  readonly #address: string;
  /** What sending throws in place of what the peer says, for some messages. */
  refuses: ((key: string) => Error | null) | null = null;
  /** Between two beginnings of a run, one by one. */
  pace_ms: number | null = null;
  /** Not to be asked of the database how to send: a failure before the first message. */
  unready = false;

  private constructor(db: Pool, settings: Settings, wires: Wires, address: string, peer: Peer, did: string[]) {
    this.channel = `channel.${randomUUID()}`;
    this.#db = db;
    this.#settings = settings;
    this.wires = wires;
    this.#address = address;
    this.peer = peer;
    this.did = did;
  }

  static async open(database: TestDatabase): Promise<Pumping & { stop(): Promise<void> }> {
    const { hostname, port } = new URL(database.workerUrl);
    const bridge = await startBridge({ target: { host: hostname, port: Number(port) } });
    const did: string[] = [];
    const peer = await startPeer({
      handle: ({ text }) => {
        did.push(text);
        return { status: 200, body: {} };
      },
    });
    const wires = new Wires();
    // The driver's client of an address is made once, with the way to it that there was then: each pump has an address of its own.
    const url = `${database.workerUrl}?application_name=${randomUUID()}`;
    const settings = settingsOf({ DATABASE_URL: url, DATABASE_FETCH_ENDPOINT: await wires.to("database", bridge.url) });
    const pumping = new Pumping(database.owner, settings, wires, await wires.to("peer", peer.url), peer, did);
    return Object.assign(pumping, {
      stop: async () => {
        wires.stop();
        await peer.stop();
        await bridge.stop();
      },
    });
  }

  /** Messages of this channel, by their keys. */
  async enqueue(...keys: string[]): Promise<void> {
    for (const key of keys) {
      await this.#db.query("select messages.enqueue($1, 'told', null, $2, $3)", [
        this.channel,
        key,
        JSON.stringify({ key }),
      ]);
    }
  }

  /** One run of the pump: batches until nothing is left, or the budget is over. */
  async pump({ budget_ms = 30_000, timeout_ms = 25_000, tick = this.tick() } = {}): Promise<Done> {
    const sweep = courierSweep(`outbox_${this.channel}`, this.#courier(timeout_ms));
    const shift = new Shift(tick, sweep.name, budget_ms);
    const sum: Done = { processed: 0, failed: 0, more: true };
    while (sum.more && !shift.over()) {
      const { processed, failed, more } = await sweep.work(shift);
      sum.processed += processed;
      sum.failed += failed;
      sum.more = more;
    }
    return sum;
  }

  /** What sweeps share that run side by side. */
  tick(): Tick {
    return new Tick(this.#settings);
  }

  /** What the outbox has of this channel, by key. */
  async kept(): Promise<Kept[]> {
    return rows<Kept>(
      this.#db,
      "select dedupe_key, state, attempts, error from messages.outbox where channel = $1 order by dedupe_key",
      [this.channel],
    );
  }

  /** How the channel does, with the time that it is left alone for to the next ten seconds; undefined: nobody has asked for it. */
  async circuit(): Promise<{ failures: number; open_seconds: number | null; error: string | null } | undefined> {
    const [row] = await rows<{ failures: number; open_seconds: number | null; error: string | null }>(
      this.#db,
      `select failures, ceil(extract(epoch from open_until - ops.now()) / 10)::int * 10 as open_seconds, error
         from messages.channel where name = $1`,
      [this.channel],
    );
    return row;
  }

  #courier(timeout_ms: number): Courier<string> {
    return {
      channel: this.channel,
      account: () => this.#address,
      pace_ms: () => this.pace_ms,
      sender: async (_shift, address) => {
        if (this.unready) throw new Error("not ready");
        return (delivery) => this.#send(address, delivery, timeout_ms);
      },
    };
  }

  async #send(address: string, delivery: Delivery, timeout_ms: number): Promise<void> {
    const refusal = this.refuses?.(String(delivery.body["key"])) ?? null;
    if (refusal !== null) throw refusal;
    const answer = await askPeer(
      `${address}/told`,
      { method: "POST", body: String(delivery.body["key"]) },
      { timeout_ms },
    );
    demandOk(answer);
  }
}
