import { canonicalJson } from "./json.ts";
import { type Code, Problem } from "./problem.ts";

const name = "Idempotency-Key";

/** 1–255 printable ASCII characters. */
const form = /^[\x20-\x7e]{1,255}$/;

/** Effects that the system names itself begin so; a client's key must never meet one of them. */
const reserved = /^tg:/i;

/**
 * The client's Idempotency-Key, or null where it sent none and needs none.
 * Throws 400 `idempotency_key_required` and `idempotency_key_invalid`.
 */
export function presentedIdempotencyKey(headers: Pick<Headers, "get">, required: boolean): string | null {
  const key = headers.get(name);
  if (key === null) {
    if (required) throw refuse("idempotency_key_required", "required", "send a key that names this one operation");
    return null;
  }
  if (!form.test(key)) throw refuse("idempotency_key_invalid", "invalid_format", "1 to 255 printable ASCII characters");
  if (reserved.test(key)) throw refuse("idempotency_key_invalid", "reserved", "tg: begins the system's own keys");
  return key;
}

function refuse(problem: Code, code: string, detail: string): Problem {
  return new Problem(problem, { errors: [{ in: "header", name, code, detail }] });
}

/**
 * The text whose SHA-256 a key is bound to: the same key with another method, path or body is another request.
 * The order of members and the spaces of the body do not count.
 */
export function fingerprintText(method: string, path: string, body: unknown): string {
  return `${method} ${path}\n${canonicalJson(body)}`;
}
