import { Problem } from "../../http/problem.ts";

const algorithm = { name: "HMAC", hash: "SHA-256" } as const;

/**
 * The JSON of a delivery that one of the secrets signed: header `BTCPay-Sig: sha256=<HMAC of these very bytes, in hex>`. A delivery has
 * no time in its signature; sent again by whoever saw it, it is a duplicate, and tells nothing but what to look at. Throws `Problem`:
 * `signature_invalid`, and `validation_failed` for what was signed and is no JSON.
 */
export async function verifiedDelivery(
  bytes: Uint8Array,
  header: string | null,
  secrets: readonly string[],
): Promise<unknown> {
  const hex = /^sha256=([0-9a-f]{64})$/i.exec(header?.trim() ?? "")?.[1];
  if (hex === undefined) throw new Problem("signature_invalid");
  const signature = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  for (const secret of secrets) {
    const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), algorithm, false, ["verify"]);
    // It compares in constant time.
    if (await crypto.subtle.verify("HMAC", key, signature, new Uint8Array(bytes))) return parsed(bytes);
  }
  throw new Problem("signature_invalid");
}

/** The signature was right: whoever sent it may send events. It is only looked at after that. */
export function noDelivery(cause?: unknown): Problem {
  const fault = {
    in: "body",
    pointer: "",
    code: "not_an_event",
    detail: "it is signed, and no event of BTCPay Server's",
  };
  return new Problem("validation_failed", { errors: [fault] }, { cause });
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw noDelivery(error);
  }
}
