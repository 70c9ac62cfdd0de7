import { isUtf8 } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";
import { BridgeError } from "./answer.ts";

/** One statement as it goes to Postgres: its parameters are text or null, and Postgres decides on their types. */
export interface Statement {
  query: string;
  params: (string | null)[];
  arrayMode: boolean;
}

/** A parsed body: one statement that commits by itself, or several in one transaction. */
export interface Work {
  batch: boolean;
  statements: Statement[];
}

/** What the headers ask for. Neon takes every value but `true` for false, and so does this. */
export interface Wishes {
  rawText: boolean;
  arrayMode: boolean;
  isolationLevel: string | undefined;
  readOnly: boolean;
  deferrable: boolean;
}

/** Who asks, from the `Neon-Connection-String`. Its host and port are not used: they name a proxy that is not here. */
export interface Login {
  user: string;
  password: string;
  database: string;
}

/** Bytes that a request's body, and a response's rows, may have. */
export const sizeLimit = 10 * 1024 * 1024;

const isolationLevels = new Map([
  ["ReadUncommitted", "READ UNCOMMITTED"],
  ["ReadCommitted", "READ COMMITTED"],
  ["RepeatableRead", "REPEATABLE READ"],
  ["Serializable", "SERIALIZABLE"],
]);

const single = z.object({
  query: z.string(),
  params: z.array(z.json()).default([]),
  arrayMode: z.boolean().nullish(),
});
const payload = z.union([single, z.object({ queries: z.array(single) })]);

/** Reads the headers; refuses an isolation level that there is not. */
export function readWishes(headers: IncomingHttpHeaders): Wishes {
  const level = headers["neon-batch-isolation-level"];
  if (level !== undefined && !isolationLevels.has(String(level))) {
    throw new BridgeError(400, "invalid isolation level");
  }
  return {
    rawText: headers["neon-raw-text-output"] === "true",
    arrayMode: headers["neon-array-mode"] === "true",
    isolationLevel: level === undefined ? undefined : String(level),
    readOnly: headers["neon-batch-read-only"] === "true",
    deferrable: headers["neon-batch-deferrable"] === "true",
  };
}

/** The statement that opens a batch's transaction. */
export function startTransaction(wishes: Wishes): string {
  const level = isolationLevels.get(wishes.isolationLevel ?? "");
  const modes = [
    ...(level === undefined ? [] : [`ISOLATION LEVEL ${level}`]),
    ...(wishes.readOnly ? ["READ ONLY"] : []),
    ...(wishes.deferrable ? ["DEFERRABLE"] : []),
  ];
  return `START TRANSACTION ${modes.join(", ")}`;
}

/** Reads the connection string; refuses one that lacks a part, in Neon's words. */
export function readLogin(headers: IncomingHttpHeaders): Login {
  const header = headers["neon-connection-string"];
  if (typeof header !== "string") {
    throw new BridgeError(400, "invalid header: neon-connection-string");
  }
  if (!URL.canParse(header)) {
    throw new BridgeError(400, "invalid connection string: relative URL without a base");
  }
  const url = new URL(header);
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    throw new BridgeError(400, "incorrect scheme");
  }
  const login = {
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
  };
  if (login.database === "") {
    throw new BridgeError(400, "missing database name");
  }
  if (login.user === "") {
    throw new BridgeError(400, "missing username");
  }
  if (login.password === "") {
    throw new BridgeError(400, "missing authentication credentials: required password");
  }
  return login;
}

/** Reads a body into statements. */
export function readWork(body: Buffer, wishes: Wishes): Work {
  const parsed = payload.safeParse(parseJson(body));
  if (!parsed.success) {
    throw unreadable("data did not match any variant of untagged enum Payload");
  }
  const queries = "queries" in parsed.data ? parsed.data.queries : [parsed.data];
  return {
    batch: "queries" in parsed.data,
    statements: queries.map(({ query, params, arrayMode }) => ({
      query,
      params: params.map(textOf),
      arrayMode: arrayMode ?? wishes.arrayMode,
    })),
  };
}

function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) {
    throw unreadable("invalid unicode code point");
  }
  const text = body.toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unreadable(cause instanceof Error ? cause.message : String(cause));
  }
  // Node would send a lone surrogate as U+FFFD, so that the text that is stored is not the text that was given.
  if (/\\u[dD][89a-fA-F]/.test(text) && !isWellFormed(value)) {
    throw unreadable("lone leading surrogate in hex escape");
  }
  return value;
}

function unreadable(why: string): BridgeError {
  return new BridgeError(400, `could not parse the HTTP request body: ${why}`);
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === "string") {
    return value.isWellFormed();
  }
  return typeof value !== "object" || value === null
    ? true
    : Object.entries(value).every(([name, member]) => name.isWellFormed() && isWellFormed(member));
}

/** A parameter as Postgres's text: an array becomes an array literal, an object its JSON, a string itself. */
function textOf(value: unknown): string | null {
  if (value === null) {
    return null;
  }
  if (typeof value === "string") {
    return value;
  }
  return Array.isArray(value) ? arrayText(value) : JSON.stringify(value);
}

function arrayText(values: readonly unknown[]): string {
  const members = values.map((value) => {
    if (value === null) {
      return "NULL";
    }
    if (Array.isArray(value)) {
      return arrayText(value);
    }
    // A string is quoted and escaped as in JSON, which an array literal understands; an object is such a string too.
    return typeof value === "object" ? JSON.stringify(JSON.stringify(value)) : JSON.stringify(value);
  });
  return `{${members.join(",")}}`;
}
