import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { errorAnswer } from "./api.ts";
import type { Api, ApiAnswer, ApiRequest } from "./api.ts";

/** What answers a request that is not of the API: pages and control. Undefined: there is no such page. */
export type Pages = (request: ApiRequest) => Promise<ApiAnswer | undefined>;

/** A server on 127.0.0.1. */
export interface Listening {
  port: number;
  stop(): Promise<void>;
}

const maxBody = 1024 * 1024;

/** Listens for calls of the API, and for people. */
export async function listen(port: number, api: Pick<Api, "answer">, pages: Pages): Promise<Listening> {
  const server = createServer((request, response) => {
    handle(request, response, api, pages).catch((error: unknown) => send(response, errorAnswer(error)));
  });
  // An idle connection that the server closes while a client reuses it would be a fault that nobody asked for.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  api: Pick<Api, "answer">,
  pages: Pages,
): Promise<void> {
  const asked = await read(request);
  if (asked.url.pathname.startsWith("/v1/") || asked.url.pathname.startsWith("/v2/")) {
    const gone = goneSignal(response);
    const answer = await api.answer(asked, async (fault) => await waits(fault.kind, fault.ms ?? 0, gone));
    send(response, answer);
    return;
  }
  const page = await pages(asked);
  send(response, page ?? { status: 404, headers: { "Content-Type": "text/plain" }, body: "No such page.\n" });
}

async function read(request: IncomingMessage): Promise<ApiRequest> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.byteLength;
    if (length <= maxBody) {
      chunks.push(chunk);
    }
  }
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    headers.set(name, Array.isArray(value) ? value.join(", ") : (value ?? ""));
  }
  return {
    method: request.method ?? "GET",
    url: new URL(request.url ?? "/", "http://127.0.0.1"),
    headers,
    body: length > maxBody ? "" : Buffer.concat(chunks).toString("utf8"),
  };
}

function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  return gone.signal;
}

/** Holds a call back. False when its client went away meanwhile. */
async function waits(kind: string, ms: number, gone: AbortSignal): Promise<boolean> {
  if (kind === "delay") {
    await sleep(ms);
  } else if (!gone.aborted) {
    await once(gone, "abort");
  }
  return !gone.aborted;
}

function send(response: ServerResponse, answer: ApiAnswer | null): void {
  if (answer === null) {
    response.destroy();
    return;
  }
  if (response.headersSent || response.destroyed) {
    return;
  }
  response.writeHead(answer.status, {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    ...answer.headers,
    "Content-Length": Buffer.byteLength(answer.body),
  });
  response.end(answer.body);
}
