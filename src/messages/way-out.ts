import type { Settings } from "../env.ts";
import { isBroadcast } from "./kinds.ts";

/** Where a reader of broadcasts leaves them, and what says that it is he. */
export interface WayOut {
  /** This deployment's own. */
  readonly origin: string;
  /** The deployment's key; the tokens' own is made from it. */
  readonly key: Uint8Array<ArrayBuffer>;
}

/** What a token says: which contact wants no more broadcasts, and by which it left. */
export interface Leaver {
  contact_id: string;
  kind: string;
}

/** Makes tokens, and tells them from anything else. */
export interface Tokens {
  /** The same for the same contact and kind, so that a mail is the same at each try. It has no end: mail is kept for years. */
  make(leaver: Leaver): Promise<string>;
  /** What a token says; null where it is none of ours. */
  read(token: string): Promise<Leaver | null>;
}

/** Null: this deployment does not know its own address, or has no key; its broadcasts name no way out. */
export function wayOutOf({ public_url, webhook_key }: Settings): WayOut | null {
  return public_url === null || webhook_key === null ? null : { origin: public_url, key: webhook_key };
}

/**
 * What a text of a broadcast by e-mail may call its reader's link, where there is one. Elsewhere it is a name like any other, and data that
 * have it are their operator's own.
 */
export const wayOutWord = "unsubscribe_url";

/** The words that a text has from this deployment without any data, by channel; as messages.demand_template takes them. */
export const ownWords = (settings: Settings): Record<string, string[]> =>
  wayOutOf(settings) === null ? {} : { email: [wayOutWord] };

/** Where a token is taken. */
export const wayOutUrl = (origin: string, token: string): string => `${origin}/unsubscribe/${token}`;

/** RFC 2369 says where to leave, RFC 8058 that one POST there is enough. */
export const headersOf = (url: string): Record<string, string> => ({
  "List-Unsubscribe": `<${url}>`,
  "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
});

const prefix = "broadcast.";
const macLength = 32;
const idLength = 16;

/** How many characters a token has that names this kind. */
export const tokenLength = (kind: string): number =>
  Math.ceil(((macLength + idLength + kind.length - prefix.length) * 4) / 3);

/**
 * Tokens of a deployment: an HMAC (SHA-256), the contact's id, and its broadcast's name. Their key is made from the deployment's (HKDF) under
 * a name that is no webhook endpoint's, so that no secret which an operator was shown makes one.
 */
export async function tokensOf(deploymentKey: Uint8Array<ArrayBuffer>): Promise<Tokens> {
  const material = await crypto.subtle.importKey("raw", deploymentKey, "HKDF", false, ["deriveKey"]);
  const info = new TextEncoder().encode("tollgate unsubscribe");
  const key = await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info },
    material,
    { name: "HMAC", hash: "SHA-256", length: 256 },
    false,
    ["sign", "verify"],
  );
  return {
    make: async ({ contact_id, kind }) => {
      const id = Uint8Array.from(contact_id.replaceAll("-", "").match(/../g) ?? [], (pair) =>
        Number.parseInt(pair, 16),
      );
      const said = joined(id, new TextEncoder().encode(kind.slice(prefix.length)));
      return base64url(joined(new Uint8Array(await crypto.subtle.sign("HMAC", key, said)), said));
    },
    read: async (token) => {
      const bytes = bytesOf(token);
      if (bytes === null || bytes.length <= macLength + idLength) return null;
      const [mac, said] = [bytes.slice(0, macLength), bytes.slice(macLength)];
      // It compares in constant time.
      if (!(await crypto.subtle.verify("HMAC", key, mac, said))) return null;
      const id = Array.from(said.slice(0, idLength), (byte) => byte.toString(16).padStart(2, "0")).join("");
      const kind = prefix + new TextDecoder().decode(said.slice(idLength));
      if (!isBroadcast(kind)) return null;
      return { contact_id: id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"), kind };
    },
  };
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes of base64url; null where it is none, or not as we write it: its last character may hold bits that nobody reads. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[\w-]{1,200}$/.test(text) || text.length % 4 === 1) return null;
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  return base64url(bytes) === text ? bytes : null;
}
