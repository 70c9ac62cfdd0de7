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

const cursor = z.string().max(100).optional().meta({ description: "`next_cursor` of the page before." });

/** The query parameters of a list; spread other filters beside them. */
export const pageQuery = { limit, cursor };

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
  return { limit: query.limit, after: query.cursor === undefined ? null : decodeCursor(query.cursor) };
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
  const base64 = btoa(String.fromCharCode(...bytes.map((byte) => Number.parseInt(byte, 16))));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
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
  const detail = "pass next_cursor as it was given";
  throw new Problem("cursor_invalid", {
    errors: [{ in: "query", name: "cursor", code: "cursor_invalid", detail }],
  });
}
