import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { settings as settingsOf } from "../../src/env.ts";
import type { Settings } from "../../src/env.ts";
import { courierSweep } from "../../src/messages/pump.ts";
import { webhooksWithin } from "../../src/messages/webhook-courier.ts";
import { endpointSecret } from "../../src/outside/webhook/secret.ts";
import type { Done } from "../../src/sweeps/shift.ts";
import { Shift, Tick } from "../../src/sweeps/shift.ts";
import { startBridge } from "../world/bridge.ts";
import { startReceiver } from "../world/receiver.ts";
import type { Receiver } from "../world/receiver.ts";
import type { TestDatabase } from "./database.ts";
import { Endpoint, silence } from "./endpoints.ts";
import { rows } from "./scenario.ts";
import { Wires } from "./wires.ts";

const webhook_key = new Uint8Array(32).fill(42);

/** An endpoint and who answers there. */
export interface Connected {
  endpoint: Endpoint;
  receiver: Receiver;
}

/**
 * The pump of webhooks, here and not in a Worker, so that a test holds every wire of it: to the database, and to each receiver. Whoever
 * listened before is silent.
 */
export class Telling {
  readonly wires: Wires;
  readonly #db: Pool;
  readonly #settings: Settings;
  readonly #stops: (() => Promise<void>)[];

  private constructor(db: Pool, settings: Settings, wires: Wires, stop: () => Promise<void>) {
    this.#db = db;
    this.#settings = settings;
    this.wires = wires;
    this.#stops = [stop];
  }

  static async open({ owner, workerUrl }: TestDatabase): Promise<Telling> {
    await silence(owner);
    const { hostname, port } = new URL(workerUrl);
    const bridge = await startBridge({ target: { host: hostname, port: Number(port) } });
    // The driver's client of an address is made once, with the way to it that there was then: each pump has an address of its own.
    const url = `${workerUrl}?application_name=${randomUUID()}`;
    const wires = new Wires();
    const settings = settingsOf({
      DATABASE_URL: url,
      DATABASE_FETCH_ENDPOINT: await wires.to("database", bridge.url),
      WEBHOOK_SIGNING_KEY: btoa(String.fromCharCode(...webhook_key)),
    });
    return new Telling(owner, settings, wires, () => bridge.stop());
  }

  /** A receiver, with an endpoint that points to it; without a wire, nothing stands between the two. */
  async connect(events: string[] = ["credits.*"], { wired = true } = {}): Promise<Connected> {
    const receiver = await startReceiver();
    this.#stops.push(() => receiver.stop());
    const way = wired ? await this.wires.to("peer", receiver.peer.url) : receiver.peer.url;
    const endpoint = await Endpoint.listening(this.#db, events, `${way}/webhooks`);
    receiver.secrets.push(await endpointSecret(webhook_key, endpoint.id, 1));
    return { endpoint, receiver };
  }

  /** Tells of these versions of a resource, in any order. */
  async tell(resource: string, versions: readonly number[]): Promise<void> {
    for (const version of versions) {
      await this.#db.query("select messages.tell('credits.low', null, $1, $2, $3)", [
        resource,
        version,
        { said: version },
      ]);
    }
  }

  /** One run of the pump: batches until nothing is left, or the budget is over. */
  async pump({ budget_ms = 30_000, timeout_ms = 25_000 } = {}): Promise<Done> {
    const sweep = courierSweep("webhook_outbox", webhooksWithin(timeout_ms));
    const shift = new Shift(new Tick(this.#settings), sweep.name, budget_ms);
    const sum: Done = { processed: 0, failed: 0, more: true };
    while (sum.more && !shift.over()) {
      const { processed, failed, more } = await sweep.work(shift);
      sum.processed += processed;
      sum.failed += failed;
      sum.more = more;
    }
    return sum;
  }

  /** Lets leases, circuits and back-offs run out, and pumps until nothing waits. */
  async mend(pumps = 1): Promise<void> {
    this.wires.mend();
    for (let rounds = 0; await this.#open(); rounds += 1) {
      if (rounds === 60) throw new Error("it never ends");
      await this.#db.query("update ops.clock set clock_offset = clock_offset + interval '31 minutes'");
      await Promise.all(Array.from({ length: pumps }, () => this.pump()));
    }
  }

  async stop(): Promise<void> {
    this.wires.stop();
    for (const stop of this.#stops) await stop();
  }

  async #open(): Promise<boolean> {
    const open = await rows(
      this.#db,
      `select from messages.outbox o join messages.endpoint e on e.id = o.endpoint_id
        where o.state in ('queued', 'sending') and e.deleted_at is null`,
    );
    return open.length > 0;
  }
}
