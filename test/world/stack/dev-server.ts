import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import { z } from "zod";
import { readBody } from "../bridge/body.ts";
import { canceledPage, outsidePage, thanksPage } from "./pages.ts";
import type { Wallet } from "./pages.ts";
import { furthest } from "./travel.ts";
import type { Travel } from "./travel.ts";

/** What stands beside the product on the local stack: its clock, its cron at once, and the pages of a shop. */
export interface DevServer {
  url: string;
  /** From then on it does what it is asked. Before, there is nothing to do it with. */
  open(parts: Parts): void;
  stop(): Promise<void>;
}

/** What it works with. */
interface Parts {
  travel: Travel;
  /** Runs the cron. */
  tick: () => Promise<void>;
  /** What a workspace has, or the demo workspace; null where there is none such. */
  wallet: (workspace: string | null) => Promise<Wallet | null>;
  /** What the outside world was told and did: lines. */
  outside: () => Promise<string>;
}

/** Spans that Postgres understands and that only lead forward: `31 days`, `1 month 2 hours`. */
const span = z
  .string()
  .max(100)
  .regex(/^\d{1,7} (second|minute|hour|day|week|month|year)s?( \d{1,7} (second|minute|hour|day|week|month|year)s?)*$/);

const advance = z.strictObject({ advance: span });

interface Reply {
  status: number;
  /** Text is a page; anything else goes as JSON. */
  body: unknown;
}

/**
 * Starts the dev server. `POST /clock {"advance": "31 days"}` moves the clocks of the database and of Stripe in miniature
 * forward in steps, running the cron; `GET /clock` tells the time; `POST /tick` runs the cron. `GET /outside` shows what left the house; `GET /thanks` and
 * `GET /canceled` are where a checkout may send people back to.
 */
export async function startDevServer(port: number): Promise<DevServer> {
  let parts: Parts | undefined;
  const server = createServer((request, response) => {
    void reply(request)
      .catch((error: unknown): Reply => ({ status: 500, body: { message: messageOf(error) } }))
      .then(({ status, body }) => {
        const isPage = typeof body === "string";
        response.writeHead(status, {
          "Content-Type": isPage ? "text/html; charset=utf-8" : "application/json",
          "Cache-Control": "no-store",
        });
        return response.end(isPage ? body : `${JSON.stringify(body)}\n`);
      });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    open: (given) => {
      parts = given;
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };

  async function reply(request: IncomingMessage): Promise<Reply> {
    // A web page that the developer has open could otherwise move the clock.
    if (request.headers.origin !== undefined) {
      return { status: 403, body: { message: "Not for web pages." } };
    }
    if (parts === undefined) {
      return { status: 503, body: { message: "The stack is still starting." } };
    }
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://127.0.0.1");
    switch (`${request.method} ${pathname}`) {
      case "GET /clock":
        return { status: 200, body: await parts.travel.read() };
      case "POST /clock":
        return await moveClock(parts.travel, await readBody(request, 10_000));
      case "POST /tick":
        return { status: 200, body: { tick: await tried(parts.tick) } };
      case "GET /outside":
        return { status: 200, body: outsidePage(await parts.outside()) };
      case "GET /thanks":
        return { status: 200, body: thanksPage(await parts.wallet(searchParams.get("workspace"))) };
      case "GET /canceled":
        return { status: 200, body: canceledPage() };
      default:
        return {
          status: 404,
          body: {
            message:
              'There are GET /clock, POST /clock {"advance": "31 days"}, POST /tick, and the pages /outside, /thanks and /canceled.',
          },
        };
    }
  }
}

async function moveClock(travel: Travel, body: Buffer): Promise<Reply> {
  const wish = advance.safeParse(parseJson(body.toString("utf8")));
  if (!wish.success) {
    return { status: 422, body: { message: 'Send {"advance": "31 days"}: whole seconds to years, forward only.' } };
  }
  const journey = await travel.advance(wish.data.advance);
  return journey === null
    ? { status: 422, body: { message: `The clock goes at most ${furthest} ahead.` } }
    : { status: 200, body: journey };
}

/** The cron's outcome in a word or its error. */
async function tried(tick: () => Promise<void>): Promise<string> {
  try {
    await tick();
    return "ok";
  } catch (error) {
    return messageOf(error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
