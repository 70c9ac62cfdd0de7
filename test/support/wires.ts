import { once } from "node:events";
import { Agent, createServer, request as ask } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { z } from "zod";

/** Something that the Worker asked of the outside. */
export interface Step {
  side: "database" | "stripe" | "peer";
  /** The routine that was called (`payments.start_checkout`), `read`, or what was asked of the other side (`POST /v1/customers`). */
  what: string;
}

/**
 * What happens to a step.
 *
 * - `dead`: its connection is cut, and that of everything after it: whoever asked can do nothing more, as if it had been killed.
 * - `cut`: its connection is cut, once.
 * - `500`, `409`, `429`: it is answered so, once. What came before it may have been done.
 */
export type How = "dead" | "cut" | "500" | "409" | "429";

/** Which step, and what happens to it: before it is done, or after, when its answer is lost. */
export interface Trip {
  /** 1 is the first since it was asked for. */
  nth: number;
  when: "before" | "after";
  how: How;
  /** Which steps are counted; all, unless told. */
  of?: (step: Step) => boolean;
}

/** A fault that was asked for. */
export interface Tripping {
  /** Whether its step came. */
  readonly done: boolean;
}

interface Armed extends Trip {
  counted: number;
  done: boolean;
}

const statements = z.union([
  z.object({ query: z.string() }).transform(({ query }) => [query]),
  z
    .object({ queries: z.array(z.object({ query: z.string() })) })
    .transform(({ queries }) => queries.map((q) => q.query)),
]);

/**
 * The wires from a Worker to its database and to Stripe. They count what is asked, and can be cut at any of it: what a
 * path does outside need not be listed anywhere to be broken there.
 */
export class Wires {
  /** What was asked since the start, or since this was emptied. */
  readonly steps: Step[] = [];
  readonly #servers: Server[] = [];
  readonly #agent = new Agent({ keepAlive: true });
  #armed: Armed | null = null;
  #down = false;

  /** A wire to an upstream: what the Worker is to be told instead of it. */
  async to(side: Step["side"], upstream: string): Promise<string> {
    const target = new URL(upstream);
    const server = createServer((request, response) => {
      this.#pass(side, target, request, response).catch(() => response.destroy());
    });
    server.keepAliveTimeout = 0;
    server.requestTimeout = 0;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#servers.push(server);
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    return `http://127.0.0.1:${port}${target.pathname === "/" ? "" : target.pathname}`;
  }

  /** Asks for a fault; there is one at a time. */
  trip(trip: Trip): Tripping {
    this.#armed = { ...trip, counted: 0, done: false };
    return this.#armed;
  }

  /** The wires are whole again. */
  mend(): void {
    this.#armed = null;
    this.#down = false;
  }

  stop(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
    this.#agent.destroy();
  }

  async #pass(side: Step["side"], target: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytesOf(request);
    const step = { side, what: side === "database" ? routineOf(body) : `${request.method} ${pathOf(request)}` };
    this.steps.push(step);
    if (this.#down) {
      response.destroy();
      return;
    }
    const trip = this.#counts(step);
    if (trip === null) {
      answerWith(response, await this.#forward(target, request, body));
      return;
    }
    this.#down = trip.how === "dead";
    if (trip.when === "after") await this.#forward(target, request, body);
    trip.done = true;
    lose(trip.how, response, side);
  }

  /** The fault that this step is to meet. */
  #counts(step: Step): Armed | null {
    const armed = this.#armed;
    if (armed === null || armed.of?.(step) === false) return null;
    armed.counted += 1;
    if (armed.counted !== armed.nth) return null;
    this.#armed = null;
    return armed;
  }

  async #forward(target: URL, { method, url, headers }: IncomingMessage, body: Buffer): Promise<Passed> {
    const { host: _, ...rest } = headers;
    const sent = ask(new URL(url ?? "/", target), { method, headers: rest, agent: this.#agent });
    // What breaks after the answer has begun, its body tells.
    sent.on("error", () => undefined);
    sent.end(body);
    const [answer]: IncomingMessage[] = await once(sent, "response");
    if (answer === undefined) throw new Error("no answer");
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: await bytesOf(answer, longest) };
  }
}

function lose(how: How, response: ServerResponse, side: Step["side"]): void {
  if (how === "dead" || how === "cut") {
    response.destroy();
  } else {
    const headers = { "content-type": "application/json" };
    answerWith(response, { status: Number(how), headers, body: failureOf(side, how) });
  }
}

interface Passed {
  status: number;
  headers: IncomingMessage["headers"];
  body: Buffer | string;
}

function answerWith(response: ServerResponse, { status, headers, body }: Passed): void {
  const { "transfer-encoding": _, connection: __, "keep-alive": ___, ...rest } = headers;
  response.writeHead(status, { ...rest, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

/** Longer than any answer that somebody waits for: a body without end is cut here, however long its reader would stay. */
const longest = 16 * 2 ** 20;

async function bytesOf(message: IncomingMessage, most = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > most) break;
  }
  return Buffer.concat(chunks);
}

/** Without its query, and with its ids left out: `POST /v1/subscriptions/*`. */
function pathOf({ url = "/" }: IncomingMessage): string {
  return (url.split("?")[0] ?? "").replace(/\/[a-z]+_(?=\w*[A-Z\d])\w{8,}/g, "/*");
}

function routineOf(body: Buffer): string {
  const said = statements.parse(JSON.parse(body.toString("utf8"))).join("\n");
  return /to_json\((\w+\.\w+)\(/.exec(said)?.[1] ?? "read";
}

function failureOf(side: Step["side"], how: string): string {
  if (side === "database") return "a fault that was asked for";
  const error = {
    "409": { type: "idempotency_error", code: "idempotency_key_in_use" },
    "429": { type: "invalid_request_error", code: "rate_limit" },
  }[how];
  return JSON.stringify({ error: { ...(error ?? { type: "api_error" }), message: "A fault that was asked for." } });
}
