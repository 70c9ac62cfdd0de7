import { Problem } from "./problem.ts";

/** `tg_` and 32 random bytes in base64url. */
const bearer = /^Bearer (tg_[A-Za-z0-9_-]{43})$/i;

/** The API key of `Authorization: Bearer tg_…`. Throws 401 before anything of the body is read. */
export function presentedKey(headers: Headers): string {
  const key = bearer.exec(headers.get("Authorization") ?? "")?.[1];
  if (key === undefined) {
    const detail = "send Authorization: Bearer tg_…";
    const errors = [{ in: "header", name: "Authorization", code: "required", detail }];
    throw new Problem("unauthenticated", { errors });
  }
  return key;
}

const encoder = new TextEncoder();
const hexOf = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** SHA-256 of a text, in hex. */
export async function sha256(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
  let hex = "";
  for (const byte of digest) hex += hexOf[byte] ?? "";
  return hex;
}

/** What a new API key is: the text that is shown once, and what is kept of it. */
export interface NewKey {
  key: string;
  hash: string;
  prefix: string;
}

/** Makes an API key of 256 random bits. */
export async function makeKey(): Promise<NewKey> {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const base64 = btoa(String.fromCharCode(...bytes));
  const key = `tg_${base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
  return { key, hash: await sha256(key), prefix: key.slice(0, 10) };
}

/** What is kept of whoever a customer is to the operator. */
export function identityHash(identity: string): Promise<string> {
  return sha256(identity.trim().normalize("NFC"));
}
