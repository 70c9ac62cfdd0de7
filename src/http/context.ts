import type { Context } from "hono";
import type { Database } from "../env.ts";
import type { Code } from "./problem.ts";

/** What one request cost and did, for its log line. */
export interface Trace {
  /** The route's pattern, never the path: a path holds ids. */
  route: string;
  /** Milliseconds spent waiting for the database. */
  db_ms: number;
  /** HTTP round trips to the database, repeats included. */
  round_trips: number;
  /** The answer is a first call's, stored under its Idempotency-Key; set by `write`. */
  replayed: boolean;
  /** The problem's code, where one was answered. */
  code: Code | null;
  /** What else the log line says; ids and words of ours, never what people wrote. */
  about?: Readonly<Record<string, string | boolean>>;
}

/** What the middleware knows of a request when a handler runs. Read one with `c.get(name)`: `c.var` copies them all. */
export interface Variables {
  requestId: string;
  trace: Trace;
  /** Where the database is. */
  database: Database;
  /** SHA-256 of the presented API key, hex. */
  credential: string;
  /** The client's Idempotency-Key, where it sent one. */
  idempotencyKey: string | null;
  /** SHA-256 over method, path and canonical body, hex; what a key is bound to. */
  fingerprint: string;
}

export interface AppEnv {
  Bindings: object;
  Variables: Variables;
}

/** The context that handlers, stores and src/db share. */
export type AppContext = Context<AppEnv>;
