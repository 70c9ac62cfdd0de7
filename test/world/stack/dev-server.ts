import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { Pool } from "pg";
import { z } from "zod";
import { readBody } from "../bridge/body.ts";

/** What stands beside the product on the local stack: its clock, and its cron at once. */
export interface DevServer {
  url: string;
  stop(): Promise<void>;
}

/** Spans that Postgres understands and that only lead forward: `31 days`, `1 month 2 hours`. */
const span = z
  .string()
  .max(100)
  .regex(/^\d{1,7} (second|minute|hour|day|week|month|year)s?( \d{1,7} (second|minute|hour|day|week|month|year)s?)*$/);

/** Beyond this, instants leave what JavaScript and RFC 3339 can say. */
const furthest = "5000 years";

const advance = z.strictObject({ advance: span });

interface Reply {
  status: number;
  body: unknown;
}

/**
 * Starts the dev server. `POST /clock {"advance": "31 days"}` moves `ops.now()` forward and runs the cron;
 * `GET /clock` tells it; `POST /tick` runs the cron.
 */
export async function startDevServer(owner: Pool, tick: () => Promise<void>, port: number): Promise<DevServer> {
  const server = createServer((request, response) => {
    void reply(request)
      .catch((error: unknown): Reply => ({ status: 500, body: { message: String(error) } }))
      .then(({ status, body }) => {
        response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
        return response.end(`${JSON.stringify(body)}\n`);
      });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
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
    switch (`${request.method} ${request.url}`) {
      case "GET /clock":
        return { status: 200, body: await readClock() };
      case "POST /clock":
        return await moveClock(await readBody(request, 10_000));
      case "POST /tick":
        return { status: 200, body: { tick: await tried(tick) } };
      default:
        return {
          status: 404,
          body: { message: 'There are GET /clock, POST /clock {"advance": "31 days"}, POST /tick.' },
        };
    }
  }

  async function moveClock(body: Buffer): Promise<Reply> {
    const wish = advance.safeParse(parseJson(body.toString("utf8")));
    if (!wish.success) {
      return { status: 422, body: { message: 'Send {"advance": "31 days"}: whole seconds to years, forward only.' } };
    }
    const moved = await owner.query(
      "update ops.clock set clock_offset = clock_offset + $1::interval where clock_offset + $1::interval <= $2::interval",
      [wish.data.advance, furthest],
    );
    if (moved.rowCount !== 1) {
      return { status: 422, body: { message: `The clock goes at most ${furthest} ahead.` } };
    }
    return { status: 200, body: { ...(await readClock()), tick: await tried(tick) } };
  }

  async function readClock(): Promise<{ now: string; offset: string }> {
    const { rows } = await owner.query<{ now: string; offset: string }>(
      `select to_char(ops.now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now,
              clock_offset::text as offset from ops.clock`,
    );
    const [clock] = rows;
    if (clock === undefined) {
      throw new Error("ops.clock has no row.");
    }
    return clock;
  }
}

/** The cron's outcome in a word or its error: that it failed does not undo that the clock was moved. */
async function tried(tick: () => Promise<void>): Promise<string> {
  try {
    await tick();
    return "ok";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
