import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { BridgeError, errorAnswer } from "./bridge/answer.ts";
import type { Answer } from "./bridge/answer.ts";
import { readBody } from "./bridge/body.ts";
import { Connections } from "./bridge/connections.ts";
import type { Target } from "./bridge/connections.ts";
import { ClientGone, execute } from "./bridge/execution.ts";
import { Faults, fault, isAfter } from "./bridge/faults.ts";
import type { Fault } from "./bridge/faults.ts";
import { readLogin, readWishes, readWork, sizeLimit } from "./bridge/request.ts";

/** What the bridge has seen since it started, or since the counters were reset. */
export interface Counters {
  /** Requests to `/sql`, whatever became of them: the database round trips of the Worker. */
  requests: number;
  /** Statements that were sent to Postgres for clients; a batch has several. */
  statements: number;
  /** Requests that a fault was done to. */
  faults: number;
  /** Queries that were cancelled because their client went away. */
  cancelled: number;
}

/** The running bridge: Neon's SQL over HTTP in front of a plain Postgres, and the injector of its faults. */
export interface Bridge {
  /** What `DATABASE_FETCH_ENDPOINT` is to be: `http://127.0.0.1:<port>/sql`. */
  url: string;
  port: number;
  counters: Counters;
  faults: Faults;
  /** Milliseconds by which each request is held back, to act a network's round trip. */
  delayMs: number;
  resetCounters(): void;
  /** Cuts every connection, of clients and to Postgres. */
  stop(): Promise<void>;
}

/** Where the bridge listens and what it stands before. */
export interface BridgeOptions {
  target: Target;
  port?: number;
  /** Connections to Postgres per login; a request that finds all busy waits. */
  maxConnections?: number;
  delayMs?: number;
}

/** Starts a bridge on 127.0.0.1. */
export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const pools = new Map<string, Connections>();
  const server = createServer((request, response) => {
    const gone = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) {
        gone.abort();
      }
    });
    answer(request, response, gone.signal).catch((error: unknown) => {
      if (error instanceof ClientGone) {
        bridge.counters.cancelled += 1;
      } else {
        send(response, errorAnswer(error));
      }
    });
  });
  // An idle connection that the server closes while a client reuses it would be a fault that nobody asked for.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;

  const bridge: Bridge = {
    url: `http://127.0.0.1:${port}/sql`,
    port,
    counters: noCounts(),
    faults: new Faults(),
    delayMs: options.delayMs ?? 0,
    resetCounters: () => {
      Object.assign(bridge.counters, noCounts());
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
      for (const pool of pools.values()) {
        pool.end();
      }
      await once(server, "close");
    },
  };
  return bridge;

  async function answer(request: IncomingMessage, response: ServerResponse, gone: AbortSignal): Promise<void> {
    const path = request.url?.split("?")[0];
    if (path === "/sql" && request.method === "POST") {
      await answerSql(request, response, gone);
    } else {
      send(response, await answerTool(request, path));
    }
  }

  async function answerSql(request: IncomingMessage, response: ServerResponse, gone: AbortSignal): Promise<void> {
    bridge.counters.requests += 1;
    const wishes = readWishes(request.headers);
    const login = readLogin(request.headers);
    const work = readWork(await readBody(request, sizeLimit), wishes);
    const wish = bridge.faults.take(work.statements.map(({ query }) => query));
    if (wish !== undefined) {
      bridge.counters.faults += 1;
    }
    if (bridge.delayMs > 0) {
      await sleep(bridge.delayMs);
    }
    if (wish !== undefined && !isAfter(wish) && !(await passes(wish, response, gone))) {
      return;
    }
    if (gone.aborted) {
      return;
    }
    const pool = poolOf(`${login.user}\0${login.password}\0${login.database}`, () => {
      return new Connections(options.target, login, options.maxConnections ?? 20);
    });
    const execution = await execute(pool, work, wishes, gone, () => (bridge.counters.statements += 1));
    try {
      if (wish !== undefined && isAfter(wish) && !(await passes(wish, response, gone, execution.answer))) {
        return;
      }
      send(response, execution.answer);
    } finally {
      execution.release();
    }
  }

  /** The pool of a login; a login whose connections were all refused is not kept. */
  function poolOf(key: string, make: () => Connections): Connections {
    const found = pools.get(key);
    if (found !== undefined) {
      return found;
    }
    for (const [other, pool] of pools) {
      if (pool.size === 0) {
        pools.delete(other);
      }
    }
    const made = make();
    pools.set(key, made);
    return made;
  }

  async function answerTool(request: IncomingMessage, path: string | undefined): Promise<Answer> {
    const { method } = request;
    // The tools take plain requests, which any web page that the developer has open could send.
    if (request.headers.origin !== undefined) {
      throw new BridgeError(403, "not for web pages");
    }
    if (path === "/counters" && (method === "GET" || method === "DELETE")) {
      const counts = json(bridge.counters);
      if (method === "DELETE") {
        bridge.resetCounters();
      }
      return counts;
    }
    if (path === "/faults" && method === "POST") {
      const wish = fault.safeParse(JSON.parse((await readBody(request, sizeLimit)).toString("utf8")));
      if (!wish.success) {
        return json({ message: wish.error.message }, 422);
      }
      bridge.faults.next(wish.data);
    } else if (path === "/faults" && method === "DELETE") {
      bridge.faults.clear();
    } else if (path !== "/faults" || method !== "GET") {
      throw new BridgeError(400, "query is not supported");
    }
    return json(bridge.faults.list());
  }
}

/** What a fault answers in place of the truth. */
const untruths = new Map<Fault["kind"], BridgeError>([
  ["empty_code", new BridgeError(400, "connection closed")],
  ["08P01", new BridgeError(400, "Query cancelled, connection was terminated", "08P01")],
  ["57P01", new BridgeError(400, "terminating connection due to administrator command", "57P01")],
  ["500", new BridgeError(500, "internal server error")],
  ["502", new BridgeError(502, "bad gateway")],
  ["507", new BridgeError(507, `response is too large (max is ${sizeLimit} bytes)`)],
  ["40001", new BridgeError(400, "could not serialize access due to concurrent update", "40001")],
  ["40P01", new BridgeError(400, "deadlock detected", "40P01")],
  ["55P03", new BridgeError(400, "canceling statement due to lock timeout", "55P03")],
  ["57014", new BridgeError(400, "canceling statement due to statement timeout", "57014")],
  ["53300", new BridgeError(400, "remaining connection slots are reserved", "53300")],
]);

/** Does a fault. True when the request goes on all the same, as after a delay; false when this was its end. */
async function passes(wish: Fault, response: ServerResponse, gone: AbortSignal, done?: Answer): Promise<boolean> {
  const untruth = untruths.get(wish.kind);
  if (untruth !== undefined) {
    send(response, errorAnswer(untruth));
  } else if (wish.kind === "truncated") {
    send(response, { status: 200, headers: {}, body: (done?.body ?? '{"rows":[["1"]]}').slice(0, -10) });
  } else if (wish.kind === "stall") {
    response.writeHead(200, { "Content-Type": "application/json" });
    response.write('{"rows":[[');
    if (!gone.aborted) {
      await once(gone, "abort");
    }
  } else if (wish.kind === "drop") {
    response.destroy();
  } else if (wish.kind === "hang" && !gone.aborted) {
    await once(gone, "abort");
  } else if (wish.kind === "delay") {
    await sleep(wish.ms ?? 0);
    return true;
  }
  return false;
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  if (response.headersSent || response.destroyed) {
    return;
  }
  response.writeHead(status, {
    ...headers,
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

function json(value: unknown, status = 200): Answer {
  return { status, headers: {}, body: JSON.stringify(value) };
}

function noCounts(): Counters {
  return { requests: 0, statements: 0, faults: 0, cancelled: 0 };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
