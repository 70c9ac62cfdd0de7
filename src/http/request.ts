import type { MiddlewareHandler } from "hono";
import type { AppContext, AppEnv } from "./context.ts";

/**
 * A UUIDv7: the request's id is also the name of its effect where the client sent none, and ids that grow with time
 * keep the index on them short-lived in memory. The time in it is a hint; nothing judges by it.
 */
export function newRequestId(): string {
  const time = Date.now().toString(16).padStart(12, "0");
  // All but the time and the version is a UUIDv4's: 74 random bits and the variant.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}

/** Names every request, keeps its answer out of caches, and writes its one log line. */
export const record: MiddlewareHandler<AppEnv> = async (c, next) => {
  const started = Date.now();
  const requestId = newRequestId();
  c.set("requestId", requestId);
  c.set("trace", { route: "", db_ms: 0, round_trips: 0, replayed: false, code: null });
  c.header("Request-Id", requestId);
  c.header("Cache-Control", "no-store");
  await next();
  log(c, requestId, Date.now() - started);
};

function log(c: AppContext, requestId: string, ms: number): void {
  const trace = c.get("trace");
  const line = {
    id: requestId,
    route: trace.route,
    method: c.req.method,
    status: c.res.status,
    ms,
    database_ms: Math.round(trace.db_ms),
    round_trips: trace.round_trips,
    code: trace.code,
    replayed: trace.replayed,
    ...trace.about,
  };
  if (c.res.status < 500) console.log(JSON.stringify(line));
  else console.error(JSON.stringify({ ...line, error: describe(c.error) }));
}

/** A text without what must be neither logged nor told: connection strings, API keys, Stripe's keys and secrets, Resend's keys, bots' tokens. */
export function redact(text: string): string {
  return text
    .replaceAll(/postgres(?:ql)?:\/\/[^\s"']*/gi, "postgres://…")
    .replaceAll(/tg_[A-Za-z0-9_-]{10,}/g, "tg_…")
    .replaceAll(/\b((?:[sr]k_(?:test|live)|whsec)_)[\w*+/=-]+/g, "$1…")
    .replaceAll(/\bre_\w{8,}/g, "re_…")
    .replaceAll(/(?<=bot|\b)\d{5,20}:[\w-]{30,}/g, "<bot token>");
}

/** An error and what caused it, redacted. What a peer said may be in it, and Postgres takes no NUL. */
export function describe(error: unknown): string {
  const chain: string[] = [];
  for (let cause = error; cause !== undefined && cause !== null && chain.length < 5;) {
    chain.push(cause instanceof Error ? (cause.stack ?? cause.message) : JSON.stringify(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return redact(chain.join("\ncaused by: ").replaceAll("\0", "\uFFFD"));
}
