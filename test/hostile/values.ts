import * as z from "zod";
import type { Schema } from "../support/operations.ts";

/** A value as the text that is sent: JSON.stringify could not write most of these. */
export interface Hostile {
  what: string;
  json: string;
  /** What a schema cannot say: it is refused wherever it stands. */
  always?: true;
}

const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

/** Values that a member may be sent. */
const hostileValues: readonly Hostile[] = [
  { what: "null", json: "null" },
  { what: "true", json: "true" },
  { what: "0", json: "0" },
  { what: "-1", json: "-1" },
  { what: "-0", json: "-0", always: true },
  { what: "1.5", json: "1.5" },
  { what: "1e2", json: "1e2", always: true },
  { what: "1e400", json: "1e400", always: true },
  { what: "2^53", json: "9007199254740992", always: true },
  { what: "2^53 + 1", json: "9007199254740993", always: true },
  { what: "-2^53", json: "-9007199254740992", always: true },
  { what: "2^64", json: "18446744073709551616", always: true },
  { what: "NaN", json: "NaN", always: true },
  { what: "Infinity", json: "Infinity", always: true },
  { what: "hexadecimal", json: "0x10", always: true },
  { what: "a leading zero", json: "05", always: true },
  { what: "an empty text", json: '""' },
  { what: "a number as text", json: '"5"' },
  { what: "a text of 10,000 characters", json: `"${"x".repeat(10_000)}"` },
  { what: "NUL", json: '"a\\u0000b"', always: true },
  { what: "a raw NUL", json: '"a\0b"', always: true },
  { what: "a lone surrogate", json: '"\\ud800"', always: true },
  { what: "surrogates in the wrong order", json: '"\\udc00\\ud800"', always: true },
  { what: "infinity as a time", json: '"infinity"' },
  { what: "now", json: '"now"' },
  { what: "tomorrow", json: '"tomorrow"' },
  { what: "epoch", json: '"epoch"' },
  { what: "a time without an offset", json: '"2027-01-01T00:00:00"' },
  { what: "a 31st of February", json: '"2027-02-31T00:00:00Z"' },
  { what: "a far year", json: '"9999-01-01T00:00:00Z"' },
  { what: "a year before Christ", json: '"-000001-01-01T00:00:00Z"' },
  { what: "a UUID in capitals", json: '"0197A3B4-5C6D-7E8F-9A0B-1C2D3E4F5A6B"' },
  { what: "a UUID in braces", json: '"{0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b}"' },
  { what: "a UUID without dashes", json: '"0197a3b45c6d7e8f9a0b1c2d3e4f5a6b"' },
  { what: "SQL", json: `"'); drop table ledger.account; --"` },
  { what: "an empty list", json: "[]" },
  { what: "a list of it", json: "[5]" },
  { what: "an empty object", json: "{}" },
  { what: "an object with __proto__", json: '{"__proto__":{"amount":5}}', always: true },
  { what: "a member twice", json: '{"a":1,"a":2}', always: true },
  { what: "33 lists in each other", json: nested(33), always: true },
  { what: "100,000 lists in each other", json: nested(100_000), always: true },
  { what: "100,000 lists that never end", json: "[".repeat(100_000), always: true },
  { what: "nothing", json: "", always: true },
];

/** The values that the schema does not take. */
export function unfit(schema: Schema): Hostile[] {
  const checked = z.fromJSONSchema(JSON.parse(JSON.stringify(schema)));
  return hostileValues.filter(({ json, always }) => always === true || !checked.safeParse(JSON.parse(json)).success);
}

/** A place in a body: its JSON pointer, and the schema of what may stand there. */
export interface Place {
  pointer: string;
  schema: Schema;
}

/** Every place in a body of this schema, lists by their first item. */
export function placesOf(schema: Schema, pointer = ""): Place[] {
  const inside = Object.entries(schema.properties ?? {}).flatMap(([name, member]) =>
    placesOf(member, `${pointer}/${name}`),
  );
  const items = schema.items === undefined ? [] : placesOf(schema.items, `${pointer}/0`);
  return [{ pointer, schema }, ...inside, ...items];
}

const mark = "the hostile value goes here";

/** The text of a body in which one place holds something else. */
export function bodyWith(body: unknown, pointer: string, json: string): string {
  if (pointer === "") return json;
  const copy: unknown = JSON.parse(JSON.stringify(body));
  const keys = pointer.slice(1).split("/");
  const last = keys.pop() ?? "";
  let at: unknown = copy;
  for (const key of keys) {
    // A list that the example leaves out.
    if (Reflect.get(Object(at), key) === undefined) Reflect.set(Object(at), key, []);
    at = Reflect.get(Object(at), key);
  }
  Reflect.set(Object(at), last, mark);
  return JSON.stringify(copy).replace(JSON.stringify(mark), () => json);
}
