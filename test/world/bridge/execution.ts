import type { Client } from "pg";
import { BridgeError, resultText } from "./answer.ts";
import type { Answer } from "./answer.ts";
import type { Connections } from "./connections.ts";
import { sizeLimit, startTransaction } from "./request.ts";
import type { Statement, Wishes, Work } from "./request.ts";
import { ExtendedStatement, ResponseTooLarge } from "./statement.ts";

/** What the client asked for has been done, or refused; `release` lets its connection go once the answer is sent. */
export interface Execution {
  answer: Answer;
  release(): void;
}

/** Thrown when the client went away before there was an answer; nobody is left to hear one. */
export class ClientGone extends Error {}

/**
 * Runs a request's work on a connection of its login. A client that goes away has its query cancelled, as Neon does:
 * otherwise an abandoned query would go on holding its locks.
 */
export async function execute(
  connections: Connections,
  work: Work,
  wishes: Wishes,
  gone: AbortSignal,
  onStatement: () => void,
): Promise<Execution> {
  const client = await connections.take();
  if (gone.aborted) {
    connections.giveBack(client);
    throw new ClientGone("The client went away while its request waited for a connection.");
  }
  const onGone = (): void => {
    // A cancel that comes late would hit the next request's statement, so this connection serves no other.
    void connections.cancel(client).then(() => connections.close(client));
  };
  gone.addEventListener("abort", onGone, { once: true });
  try {
    const body = await (work.batch ? runBatch : runSingle)(client, work, wishes, onStatement);
    return {
      answer: { status: 200, headers: echoed(work, wishes), body },
      release: () => connections.giveBack(client),
    };
  } catch (error) {
    if (gone.aborted) {
      throw new ClientGone("The client went away while its query ran.", { cause: error });
    }
    if (error instanceof BridgeError) {
      // Rows may still be on their way, and a transaction may be open.
      connections.close(client);
    } else {
      connections.giveBack(client);
    }
    throw error;
  } finally {
    gone.removeEventListener("abort", onGone);
  }
}

async function runSingle(client: Client, work: Work, wishes: Wishes, onStatement: () => void): Promise<string> {
  const [statement] = work.statements;
  if (statement === undefined) {
    throw new BridgeError(500, "a single request has one statement");
  }
  return within(await run(client, statement, wishes, onStatement));
}

async function runBatch(client: Client, work: Work, wishes: Wishes, onStatement: () => void): Promise<string> {
  await client.query(startTransaction(wishes));
  const results: string[] = [];
  let length = 0;
  try {
    for (const statement of work.statements) {
      const result = await run(client, statement, wishes, onStatement);
      length += result.length;
      if (length > sizeLimit) {
        throw new ResponseTooLarge();
      }
      results.push(result);
    }
  } catch (error) {
    // A connection that is lost cannot roll back, and need not; what the client must hear is the first error.
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
  await client.query("COMMIT");
  return within(`{"results":[${results.join(",")}]}`);
}

async function run(client: Client, statement: Statement, wishes: Wishes, onStatement: () => void): Promise<string> {
  // Postgres's protocol ends a query at its first NUL: the rest would silently not be run.
  if (statement.query.includes("\0")) {
    throw new BridgeError(400, "error encoding message to server: string contains embedded null");
  }
  onStatement();
  const { result } = client.query(new ExtendedStatement(statement));
  return resultText(await result, wishes.rawText, statement.arrayMode);
}

function within(body: string): string {
  if (body.length > sizeLimit || (body.length * 3 > sizeLimit && Buffer.byteLength(body) > sizeLimit)) {
    throw new ResponseTooLarge();
  }
  return body;
}

function echoed(work: Work, wishes: Wishes): Record<string, string> {
  if (!work.batch) {
    return {};
  }
  return {
    ...(wishes.readOnly ? { "Neon-Batch-Read-Only": "true" } : {}),
    ...(wishes.deferrable ? { "Neon-Batch-Deferrable": "true" } : {}),
    ...(wishes.isolationLevel === undefined ? {} : { "Neon-Batch-Isolation-Level": wishes.isolationLevel }),
  };
}
