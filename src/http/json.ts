/**
 * JSON as a money API may take it: every text that this accepts means one thing to every parser. It refuses what
 * JSON.parse lets through or changes silently: repeated members, `__proto__`, integers that a double rounds
 * (9007199254740993), 1e400, −0, NUL and lone surrogates (Postgres stores neither), and depth that overflows a stack.
 *
 * It is a loop and not a recursion, so depth costs a counter. No kept library does all of this: secure-json-parse
 * judges only `__proto__`, lossless-json recurses, and a reviver of JSON.parse recurses too and never sees a
 * repeated member. The property test holds it against JSON.parse.
 */

/** Far deeper and wider than any request of the API (a batch of 1,000 items has 3,001 members). */
export const limits = { depth: 32, members: 10_000 } as const;

/** Why a text was refused, and where. `pointer` is an RFC 6901 pointer to the nearest thing that can be named. */
export class JsonFault extends Error {
  readonly code: string;
  readonly pointer: string;

  constructor(code: string, pointer: string, detail: string) {
    super(detail);
    this.name = "JsonFault";
    this.code = code;
    this.pointer = pointer;
  }
}

type Members = Record<string, unknown>;

/** A container that is still open; `key` names the member whose value comes next. */
type Open = { array: unknown[]; members: null } | { array: null; members: Members; key: string };

const spaces = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const plainInteger = /^-?[0-9]+(?:\.0+)?$/;
// eslint-disable-next-line no-control-regex -- JSON strings must escape exactly these
const control = /[\u0000-\u001f]/;
const literals: readonly [text: string, value: boolean | null][] = [
  ["true", true],
  ["false", false],
  ["null", null],
];
const [quote, comma, colon, backslash] = [0x22, 0x2c, 0x3a, 0x5c];
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];

/** One segment of a JSON pointer. A member's name may be a megabyte long: an answer never repeats more than 64 of it. */
export function pointerSegment(key: string | number): string {
  const text = String(key);
  const shown = text.length > 64 ? `${text.slice(0, 63).toWellFormed()}…` : text;
  return `/${shown.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** Parses one JSON text. Throws JsonFault; its code is `malformed` where the text is not JSON at all. */
export function parseJson(text: string): unknown {
  const open: Open[] = [];
  let at = 0;
  let members = 0;

  const fault = (code: string, detail: string): JsonFault => {
    const path = open.map((frame) => pointerSegment(frame.members === null ? frame.array.length : frame.key));
    return new JsonFault(code, path.join(""), detail);
  };
  const malformed = (): JsonFault => fault("malformed", `not JSON at offset ${at}`);
  const skip = (): number => {
    spaces.lastIndex = at;
    spaces.test(text);
    at = spaces.lastIndex;
    return text.charCodeAt(at);
  };

  const readString = (): string => {
    const start = at + 1;
    let end = text.indexOf('"', start);
    for (; end !== -1; end = text.indexOf('"', end + 1)) {
      let escapes = 0;
      while (text.charCodeAt(end - 1 - escapes) === backslash) escapes += 1;
      if (escapes % 2 === 0) break;
    }
    if (end === -1) throw malformed();
    let value = text.slice(start, end);
    if (control.test(value)) throw malformed();
    if (value.includes("\\")) {
      try {
        value = String(JSON.parse(text.slice(at, end + 1)));
      } catch {
        throw malformed();
      }
      if (value.includes("\u0000")) throw fault("nul_character", "text must not contain U+0000");
    }
    if (!value.isWellFormed()) throw fault("lone_surrogate", "text must be well-formed Unicode");
    at = end + 1;
    return value;
  };

  const readNumber = (): number => {
    number.lastIndex = at;
    const token = number.exec(text)?.[0];
    if (token === undefined) throw malformed();
    const value = Number(token);
    if (!(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) {
      throw fault("number_out_of_range", "numbers beyond 2^53 - 1 are not exact");
    }
    if (Number.isInteger(value) && (!plainInteger.test(token) || Object.is(value, -0))) {
      throw fault("number_not_plain", "write an integer in plain digits, without exponent, and zero without a sign");
    }
    at += token.length;
    return value;
  };

  const readScalar = (): unknown => {
    if (text.charCodeAt(at) === quote) return readString();
    for (const [word, value] of literals) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return value;
      }
    }
    return readNumber();
  };

  const readKey = (frame: Open & { array: null }): void => {
    if (skip() !== quote) throw malformed();
    open.pop(); // a fault in the name itself is the object's
    const key = readString();
    if (key === "__proto__") throw fault("member_not_allowed", "__proto__ is not allowed as a member");
    if (Object.hasOwn(frame.members, key)) throw fault("member_repeated", "a member is there twice");
    members += 1;
    if (members > limits.members) throw fault("too_many_members", `more than ${limits.members} members`);
    open.push(frame);
    frame.key = key;
    if (skip() !== colon) throw malformed();
    at += 1;
  };

  for (;;) {
    const first = skip();
    let value: unknown;
    if (first === openArray || first === openObject) {
      if (open.length === limits.depth) throw fault("too_deep", `nested deeper than ${limits.depth}`);
      at += 1;
      if (skip() === (first === openArray ? closeArray : closeObject)) {
        at += 1;
        value = first === openArray ? [] : {};
      } else if (first === openArray) {
        open.push({ array: [], members: null });
        continue;
      } else {
        const frame = { array: null, members: {}, key: "" };
        open.push(frame);
        readKey(frame);
        continue;
      }
    } else {
      value = readScalar();
    }
    // A value is complete: hand it up until a container wants another.
    for (;;) {
      const frame = open.at(-1);
      const next = skip();
      if (frame === undefined) {
        if (at !== text.length) throw malformed();
        return value;
      }
      if (next !== comma && next !== (frame.members === null ? closeArray : closeObject)) throw malformed();
      at += 1;
      if (frame.members === null) frame.array.push(value);
      else frame.members[frame.key] = value;
      if (next === comma) {
        if (frame.members !== null) readKey(frame);
        break;
      }
      open.pop();
      value = frame.members ?? frame.array;
    }
  }
}

/** The one text of a JSON value: members in order of their names, no spaces. Values that parse equal have equal texts. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(",")}}`;
}
