import type { Connection, Submittable } from "pg";
import { sizeLimit } from "./request.ts";
import type { Statement } from "./request.ts";
import { BridgeError } from "./answer.ts";

/** A column of a result, in the names that the driver expects. */
export interface Field {
  name: string;
  tableID: number;
  columnID: number;
  dataTypeID: number;
  dataTypeSize: number;
  dataTypeModifier: number;
  format: string;
}

/** What one statement gave, in Postgres's own text. */
export interface StatementResult {
  fields: Field[];
  rows: (string | null)[][];
  /** The command's tag: `SELECT 1`, `INSERT 0 3`, `CREATE TABLE`; empty for an empty statement. */
  tag: string;
  /** Bytes of the rows as Postgres sent them. */
  bytes: number;
}

/** A result that grew past what Neon sends. Whether the statement committed is unknown to the client. */
export class ResponseTooLarge extends BridgeError {
  constructor() {
    super(507, `response is too large (max is ${sizeLimit} bytes)`);
  }
}

/**
 * One statement over the extended protocol: unnamed, text in and out, no parameter types. `pg` drives it as it drives
 * its own queries; this one keeps the values as Postgres's text and copies nothing.
 */
export class ExtendedStatement implements Submittable {
  readonly result: Promise<StatementResult>;
  readonly #statement: Statement;
  readonly #received: StatementResult = { fields: [], rows: [], tag: "", bytes: 0 };
  #resolve!: (result: StatementResult) => void;
  #reject!: (error: unknown) => void;

  constructor(statement: Statement) {
    this.#statement = statement;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: Connection): void {
    const { query, params } = this.#statement;
    // One packet: without it, each message goes out by itself and the server is woken five times.
    connection.stream.cork();
    connection.parse({ name: "", text: query, types: [] }, true);
    connection.bind({ values: params }, true);
    connection.describe({ type: "P", name: "" }, true);
    connection.execute({}, true);
    connection.sync();
    connection.stream.uncork();
  }

  handleRowDescription(message: { fields: Field[] }): void {
    this.#received.fields = message.fields;
  }

  handleDataRow(message: { fields: (string | null)[]; length: number }): void {
    this.#received.bytes += message.length;
    if (this.#received.bytes > sizeLimit) {
      this.#received.rows.length = 0;
      this.#reject(new ResponseTooLarge());
      return;
    }
    this.#received.rows.push(message.fields);
  }

  handleCommandComplete(message: { text: string }): void {
    this.#received.tag = message.text;
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#received);
  }

  handleError(error: unknown): void {
    this.#reject(error);
  }

  handleEmptyQuery(): void {
    this.#received.tag = "";
  }

  handlePortalSuspended(): void {
    this.#reject(new BridgeError(500, "a portal was suspended although all of its rows were asked for"));
  }

  handleCopyInResponse(connection: Connection & { sendCopyFail(message: string): void }): void {
    connection.sendCopyFail("COPY FROM STDIN is not possible over HTTP");
  }

  handleCopyData(): void {
    this.#reject(new BridgeError(400, "COPY TO STDOUT is not possible over HTTP"));
  }
}
