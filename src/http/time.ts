import * as z from "zod";

/** A timestamptz as Postgres writes it in JSON or as text (the session is in UTC), as RFC 3339 with `Z`. */
export function utc(text: string): string {
  return text.replace(" ", "T").replace(/\+00(?::?00)?$/, "Z");
}

/** A timestamptz in a routine's answer. */
export const instant = z.string().transform(utc);

/** As `utc`, where there may be none. */
export function utcOrNull(text: string | null): string | null {
  return text === null ? null : utc(text);
}
