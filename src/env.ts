import * as z from "zod";
import { Problem } from "./http/problem.ts";

/** Where the database is: a connection string of the Worker's role and, on the local stack only, the bridge to it. */
export interface Database {
  readonly url: string;
  readonly fetch_endpoint: string | null;
}

/** What the Worker was configured with, parsed. */
export interface Settings {
  readonly database: Database;
  /** The documentation page's files; absent where the bundle runs without wrangler. */
  readonly assets: { fetch(request: Request): Promise<Response> } | null;
}

const loopback = new Set(["127.0.0.1", "[::1]", "localhost"]);

/**
 * A fetch endpoint replaces Neon's own: every statement and the connection string would go there, so one that leaves
 * this machine is refused. It exists for the local stack's bridge.
 */
const fetchEndpoint = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && url.protocol === "http:" && url.username === "" && loopback.has(url.hostname);
}, "must be http on a loopback address");

const postgresUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== "" && url.username !== "";
}, "must be postgres://user:password@host/database");

/** The only description of the bindings. */
const bindings = z.object({
  DATABASE_URL: postgresUrl,
  DATABASE_FETCH_ENDPOINT: fetchEndpoint.optional(),
  ASSETS: z.custom<{ fetch(request: Request): Promise<Response> }>((value) => typeof value === "object").optional(),
});

const known = new WeakMap<object, Settings>();

/**
 * Reads the bindings, once for each env object (an isolate has one).
 * Throws `misconfigured` naming the binding, never its value.
 */
export function settings(env: object): Settings {
  const seen = known.get(env);
  if (seen !== undefined) return seen;
  const parsed = bindings.safeParse(env);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw new Problem("misconfigured", {}, { cause: new Error(`bindings refused: ${faults.join("; ")}`) });
  }
  const { DATABASE_URL, DATABASE_FETCH_ENDPOINT, ASSETS } = parsed.data;
  const fresh: Settings = {
    database: { url: DATABASE_URL, fetch_endpoint: DATABASE_FETCH_ENDPOINT ?? null },
    assets: ASSETS ?? null,
  };
  known.set(env, fresh);
  return fresh;
}
