import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import type * as z from "zod";
import { routine } from "../../src/db/routine.ts";
import type { Routine } from "../../src/db/routine.ts";
import { run } from "../../src/db/run.ts";
import type { RunOptions, Statement } from "../../src/db/run.ts";
import { compose } from "../../src/db/write.ts";
import { sha256 } from "../../src/http/credential.ts";
import { calls } from "../../src/ledger/store.ts";
import type { World } from "./world.ts";

/** A call as the Worker makes it, sent from Node: for what has no route, and for options that no route has. */
export interface Sending extends RunOptions {
  workspace: string | null;
  key: string;
  scope?: string;
  /** What the key is bound to, any hex; the same for the same call. */
  fingerprint?: string;
  /** Names the sends of one request; a new one is another request of the client's. */
  request_id?: string;
}

/** What came back, and how many times it was sent. */
export interface Sent<Result> {
  answer: Result;
  replayed: boolean;
  round_trips: number;
}

/** Sends one statement and answers its rows; counts the round trips. */
export type Send = (statement: Statement, trace: { round_trips: number }, options: RunOptions) => Promise<unknown[][]>;

/** As the Worker sends: by `run`, through the world's bridge. */
export function throughBridge(world: World): Send {
  const database = { url: world.database.workerUrl, fetch_endpoint: world.bridge.url };
  return (statement, trace, options) => run(database, statement, Object.assign(trace, { db_ms: 0 }), options);
}

/** On a connection of a pool, without HTTP: for many calls in little time. */
export function onPool(db: Pool): Send {
  return async ({ sql, params }, trace) => {
    trace.round_trips += 1;
    const { rows } = await db.query<unknown[]>({ text: sql, values: [...params], rowMode: "array" });
    return rows;
  };
}

/** The envelope in the name of one API key. */
export class Envelope {
  readonly #apiKey: string;
  readonly #send: Send;

  constructor(apiKey: string, send: Send) {
    this.#apiKey = apiKey;
    this.#send = send;
  }

  /** Calls a routine under a key; throws what sending throws. */
  async write<Args extends z.ZodObject, Result extends z.ZodObject>(
    called: Routine<Args, Result>,
    args: z.infer<Args>,
    sending: Sending,
  ): Promise<Sent<z.infer<Result>>> {
    const values: Record<string, unknown> = args;
    const trace = { round_trips: 0 };
    const { workspace, key, scope = "credits:write", fingerprint = "00", request_id = randomUUID() } = sending;
    const statement = {
      sql: compose(called),
      params: [
        await sha256(this.#apiKey),
        scope,
        workspace,
        key,
        fingerprint,
        request_id,
        ...Object.keys(called.args.shape).map((name) => values[name]),
      ],
      writes: true,
    };
    const found = await this.#send(statement, trace, sending);
    const [replayed, answer] = found[0] ?? [];
    return { answer: called.result.parse(answer), replayed: replayed === true, round_trips: trace.round_trips };
  }
}

/** A routine of the ledger as the Worker declares it. */
export function declared(name: `ledger.${string}`): Routine {
  const found = calls.find((call) => call.name === name);
  if (found === undefined) throw new Error(`the Worker calls no ${name}`);
  return routine<z.ZodObject, z.ZodObject>(found);
}
