import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { readBody } from "./bridge/body.ts";

/** What somebody asked of a stand-in. */
export interface PeerRequest {
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  /** The body, as it came. */
  text: string;
}

export interface PeerAnswer {
  status: number;
  headers?: Readonly<Record<string, string>>;
  /** Text as it is; anything else goes as JSON. */
  body?: unknown;
}

/**
 * How a peer behaves: `ok`; 500 (`error`), 429 with Retry-After: 30 (`throttled`), 302 (`redirect`) and never an answer (`silent`) without
 * doing what it was asked; nonsense (`garbage`), a body without end (`huge`), a connection cut before the answer (`cut`) and an answer that
 * comes when nobody waits any more (`slow`) after doing it.
 */
export type Behaviour = "ok" | "error" | "throttled" | "redirect" | "silent" | "garbage" | "huge" | "cut" | "slow";

/** A part of the outside world in miniature: an HTTP server of 127.0.0.1 that can misbehave. */
export interface Peer {
  url: string;
  /** What came, whatever became of it, oldest first. */
  requests: PeerRequest[];
  /** From now on, or for so many requests. Of those that a test is `of`, if given. */
  behave(behaviour: Behaviour, times?: number, of?: (request: PeerRequest) => boolean): void;
  /** Told of each request that was done, with what was answered, or would have been. */
  watch: ((request: PeerRequest, answer: PeerAnswer) => void) | null;
  /** Milliseconds before each answer, as a network has. */
  delay_ms: number;
  /** Keeps every answer back until what it gives is called. */
  hold(): () => void;
  /** The most requests that were open at once since the start. */
  mostOpen(): number;
  /** Resolves when so many requests have come since the start, answered or not. */
  came(count: number): Promise<void>;
  stop(): Promise<void>;
}

interface PeerOptions {
  port?: number;
  handle: (request: PeerRequest) => PeerAnswer | Promise<PeerAnswer>;
  /** The largest body that is read, in bytes. */
  limit?: number;
}

/** Starts a peer that does and answers what `handle` says. */
export async function startPeer({ port = 0, handle, limit = 5_000_000 }: PeerOptions): Promise<Peer> {
  const requests: PeerRequest[] = [];
  let behaviours: { behaviour: Behaviour; times: number; of: (request: PeerRequest) => boolean }[] = [];
  let [open, most] = [0, 0];
  let waiting: { count: number; resolve: () => void }[] = [];
  let held: Promise<void> | null = null;
  const server = createServer((incoming, response) => {
    open += 1;
    most = Math.max(most, open);
    let over = false;
    const end = (): void => {
      if (!over) open -= 1;
      over = true;
    };
    // A client that has the answer may ask again before the connection's end is told here.
    response.once("finish", end).once("close", end);
    void answer(incoming, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(error instanceof Error ? error.message : String(error));
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const peer: Peer = {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    requests,
    watch: null,
    delay_ms: 0,
    behave: (behaviour, times = Number.POSITIVE_INFINITY, of = () => true) => {
      behaviours = behaviour === "ok" ? [] : [...behaviours, { behaviour, times, of }];
    },
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return () => {
        held = null;
        resolve();
      };
    },
    mostOpen: () => most,
    came: (count) =>
      requests.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.push({ count, resolve });
          }),
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return peer;

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await requestOf(incoming, limit);
    requests.push(request);
    waiting = waiting.filter(({ count, resolve }) => {
      if (requests.length < count) return true;
      resolve();
      return false;
    });
    const behaviour = behaviourFor(request);
    await held;
    if (peer.delay_ms > 0) await new Promise((resolve) => setTimeout(resolve, peer.delay_ms));
    switch (behaviour) {
      case "error":
        return send(response, { status: 500, body: { message: "It is broken." } });
      case "throttled":
        return send(response, { status: 429, headers: { "Retry-After": "30" }, body: { message: "Slower." } });
      case "redirect":
        return send(response, { status: 302, headers: { Location: "https://elsewhere.example/" } });
      case "silent":
        return undefined;
    }
    const answered = await handle(request);
    peer.watch?.(request, answered);
    switch (behaviour) {
      case "garbage":
        return send(response, { status: 200, body: "<html>\u0000 not what you asked for" });
      case "huge":
        return pour(response);
      case "cut":
        incoming.socket.destroy();
        return undefined;
      case "slow":
        // Whoever asked gives up first; the socket tells.
        if (!response.destroyed) await once(response, "close");
        return undefined;
      default:
        return send(response, answered);
    }
  }

  function behaviourFor(request: PeerRequest): Behaviour {
    const next = behaviours.find(({ of }) => of(request));
    if (next === undefined) return "ok";
    next.times -= 1;
    behaviours = behaviours.filter(({ times }) => times > 0);
    return next.behaviour;
  }
}

async function requestOf(incoming: IncomingMessage, limit: number): Promise<PeerRequest> {
  const { pathname, searchParams } = new URL(incoming.url ?? "/", "http://127.0.0.1");
  return {
    method: incoming.method ?? "GET",
    path: pathname,
    query: searchParams,
    headers: Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(", ") : (value ?? ""),
      ]),
    ),
    text: (await readBody(incoming, limit)).toString("utf8"),
  };
}

function send(response: ServerResponse, { status, headers = {}, body }: PeerAnswer): void {
  const isText = typeof body === "string";
  response.writeHead(status, { "Content-Type": isText ? "text/plain" : "application/json", ...headers });
  response.end(body === undefined ? undefined : isText ? body : JSON.stringify(body));
}

/** Sends until whoever asked has gone. */
function pour(response: ServerResponse): void {
  const chunk = Buffer.alloc(65_536, "x");
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": String(10 * 2 ** 30) });
  const more = (): void => {
    while (!response.destroyed && response.write(chunk)) {
      // As long as it takes some.
    }
  };
  response.on("drain", more);
  more();
}
