import * as z from "zod";
import { Problem } from "./problem.ts";

/**
 * Lists page by keyset: the cursor is the last id seen, and the next page is what comes after it in the list's order.
 * It is opaque to clients and carries no right: a list reads only its own workspace's rows, whatever the cursor says.
 */

const limit = z
  .string()
  .regex(/^(?:[1-9]\d?|100)$/, "must be an integer from 1 to 100")
  .default("20")
  .transform(Number)
  .meta({ type: "integer", minimum: 1, maximum: 100, default: 20, description: "How many, 100 at most." });

const cursorOf = (length: number) =>
  z.string().max(length).optional().meta({ description: "`next_cursor` of the page before." });

/** The query parameters of a list; spread other filters beside them. */
export const pageQuery = { limit, cursor: cursorOf(100) };

/** The answer of a list. */
export function pageAnswer<Item extends z.ZodType>(item: Item) {
  return z.object({
    data: z.array(item),
    next_cursor: z.string().nullable().meta({ description: "For `?cursor=`; null on the last page." }),
  });
}

/** Which page is asked for. */
export interface Page {
  limit: number;
  /** The id after which the page begins; null for the first. */
  after: string | null;
}

/** Reads the query of a list. Throws 400 `cursor_invalid`. */
export function pageOf(query: { limit: number; cursor?: string | undefined }): Page {
  return { limit: query.limit, after: cursorPlace(query.cursor) };
}

/** What a cursor says alone: of a list that gives its pages a length of their own. Throws 400 `cursor_invalid`. */
export function cursorPlace(cursor: string | undefined): string | null {
  return cursor === undefined ? null : decodeCursor(cursor);
}

/** Cuts the `limit + 1` rows that a list has read into a page. */
export function cut<Row>(rows: Row[], page: Page, idOf: (row: Row) => string) {
  const data = rows.slice(0, page.limit);
  const last = data.at(-1);
  return { data, next_cursor: rows.length > page.limit && last !== undefined ? encodeCursor(idOf(last)) : null };
}

/** The 16 bytes of a UUID in base64url: 22 characters. */
export function encodeCursor(id: string): string {
  const bytes = id.replaceAll("-", "").match(/../g) ?? [];
  return base64Of(String.fromCharCode(...bytes.map((byte) => Number.parseInt(byte, 16))));
}

/** A list that is in the order of a moment, and of a name where two are at one: its cursor holds both. */
export interface TimedPage {
  limit: number;
  after: { at: string; name: string } | null;
}

/** The query parameters of such a list. */
export const timedPageQuery = { limit, cursor: cursorOf(400) };

const timed = z.tuple([z.iso.datetime().regex(/^20/), z.string().regex(/^[\x21-\x7e]{1,255}$/)]);

/** As `pageOf`. */
export function timedPageOf(query: { limit: number; cursor?: string | undefined }): TimedPage {
  if (query.cursor === undefined) return { limit: query.limit, after: null };
  const found = timed.safeParse(fromBase64(query.cursor)?.split(" "));
  if (!found.success) throw foreignCursor();
  const [at, name] = found.data;
  return { limit: query.limit, after: { at, name } };
}

/** As `cut`; the moment is shown as `utc` shows it. */
export function timedCut<Row>(rows: Row[], page: TimedPage, placeOf: (row: Row) => { at: string; name: string }) {
  const data = rows.slice(0, page.limit);
  const last = data.at(-1);
  if (last === undefined || rows.length <= page.limit) return { data, next_cursor: null };
  const { at, name } = placeOf(last);
  return { data, next_cursor: base64Of(`${at} ${name}`) };
}

/** Base64url of text whose characters are bytes. */
function base64Of(text: string): string {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64(text: string): string | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const decoded = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return base64Of(decoded) === text ? decoded : undefined;
}

function decodeCursor(text: string): string {
  if (/^[A-Za-z0-9_-]{22}$/.test(text)) {
    const bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    let hex = "";
    for (const byte of bytes) hex += byte.charCodeAt(0).toString(16).padStart(2, "0");
    const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
    // 22 characters carry 4 bits more than 16 bytes: only the text that we would write ourselves is a cursor.
    if (encodeCursor(id) === text) return id;
  }
  throw foreignCursor();
}

function foreignCursor(): Problem {
  const detail = "pass next_cursor as it was given";
  return new Problem("cursor_invalid", { errors: [{ in: "query", name: "cursor", code: "cursor_invalid", detail }] });
}
