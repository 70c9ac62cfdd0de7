import { connect } from "node:net";
import { Client, DatabaseError } from "pg";
import { BridgeError } from "./answer.ts";
import type { Login } from "./request.ts";

/** Where the real Postgres is; the host in the client's connection string names a proxy that is not here. */
export interface Target {
  host: string;
  port: number;
}

/**
 * What ends a session's state: all that DISCARD ALL ends but the plans, which are nobody's state. Without this, one
 * request's SET or temporary table would be seen by the next; with DISCARD ALL, every request would plan anew every
 * statement of every routine.
 */
const resetSession = [
  "close all",
  "set session authorization default",
  "reset all",
  "deallocate all",
  "unlisten *",
  "select pg_advisory_unlock_all()",
  "discard sequences",
  "discard temp",
].join(";");

/** Connections of one login: at most so many, the last used first, and a queue when all are busy. */
export class Connections {
  readonly #target: Target;
  readonly #login: Login;
  readonly #max: number;
  readonly #idle: Client[] = [];
  readonly #waiting: ((client: Client | null) => void)[] = [];
  readonly #open = new Set<Client>();
  #opening = 0;
  #closed = false;

  constructor(target: Target, login: Login, max: number) {
    this.#target = target;
    this.#login = login;
    this.#max = max;
  }

  /** Connections open or being opened. */
  get size(): number {
    return this.#open.size + this.#opening;
  }

  /** A connection for one request: an idle one, a new one, or the next that is given back. */
  async take(): Promise<Client> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle !== undefined) {
        return idle;
      }
      if (this.#closed) {
        throw new BridgeError(500, "the bridge is stopping");
      }
      if (this.size < this.#max) {
        return await this.#connect();
      }
      const given = await new Promise<Client | null>((resolve) => this.#waiting.push(resolve));
      if (given !== null) {
        return given;
      }
    }
  }

  /** Gives a connection back once its session is as new; one that is not idle or does not reset is closed. */
  giveBack(client: Client): void {
    if (client.getTransactionStatus() !== "I" || !this.#open.has(client)) {
      this.close(client);
      return;
    }
    client.query(resetSession).then(
      () => this.#offer(client),
      () => this.close(client),
    );
  }

  /** Closes a connection at once; Postgres rolls back what it had open. */
  close(client: Client): void {
    this.#open.delete(client);
    client.connection.stream.destroy();
    // Its place is free: whoever waits may open a connection of their own.
    this.#waiting.shift()?.(null);
  }

  /** Asks Postgres to cancel what runs on a connection, over another one, and resolves when it has been told. */
  async cancel(client: Client): Promise<void> {
    const { processID, secretKey } = cancelKey(client);
    const message = Buffer.alloc(16);
    message.writeInt32BE(16, 0);
    message.writeInt32BE(80_877_102, 4);
    message.writeInt32BE(processID, 8);
    message.writeInt32BE(secretKey, 12);
    await new Promise<void>((resolve) => {
      const socket = connect(this.#target.port, this.#target.host, () => socket.end(message));
      // Postgres closes once the signal is sent. A socket that fails means that the server, and the query, have gone.
      socket.once("error", () => resolve());
      socket.once("close", () => resolve());
      socket.resume();
    });
  }

  /** Closes all; requests that wait are refused. */
  end(): void {
    this.#closed = true;
    for (const client of this.#open) {
      client.connection.stream.destroy();
    }
    this.#open.clear();
    this.#idle.length = 0;
    for (const wake of this.#waiting.splice(0)) {
      wake(null);
    }
  }

  #offer(client: Client): void {
    if (!this.#open.has(client)) {
      return;
    }
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#idle.push(client);
    } else {
      next(client);
    }
  }

  async #connect(): Promise<Client> {
    const client = new Client({ ...this.#target, ...this.#login, application_name: "tollgate bridge" });
    client.on("error", () => this.#forget(client));
    client.on("end", () => this.#forget(client));
    this.#opening += 1;
    try {
      await client.connect();
      this.#open.add(client);
      return client;
    } catch (error) {
      this.#waiting.shift()?.(null);
      throw connectError(error, this.#login);
    } finally {
      this.#opening -= 1;
    }
  }

  #forget(client: Client): void {
    const place = this.#idle.indexOf(client);
    if (place !== -1) {
      this.#idle.splice(place, 1);
    }
    if (this.#open.delete(client)) {
      this.#waiting.shift()?.(null);
    }
  }
}

/** `pg` keeps what Postgres gave at the start for cancelling, but does not declare it. */
function cancelKey(client: Client): { processID: number; secretKey: number } {
  if (
    "processID" in client &&
    typeof client.processID === "number" &&
    "secretKey" in client &&
    typeof client.secretKey === "number"
  ) {
    return { processID: client.processID, secretKey: client.secretKey };
  }
  throw new Error("This version of pg does not keep the key for cancelling a query.");
}

/** Neon checks passwords itself, so a wrong one carries no code of Postgres's; a compute that is down is a 500. */
function connectError(error: unknown, login: Login): unknown {
  if (!(error instanceof DatabaseError)) {
    return new BridgeError(500, error instanceof Error ? error.message : String(error));
  }
  return error.code === "28P01" || error.code === "28000"
    ? new BridgeError(400, `password authentication failed for user '${login.user}'`)
    : error;
}
