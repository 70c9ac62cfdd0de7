import { z } from "zod";
import { type Peer, type PeerAnswer, type PeerRequest, startPeer } from "./peer.ts";

/** A mail that somebody would have. */
export interface SentMail {
  /** The name that it was sent under. */
  key: string;
  from: string;
  to: string;
  subject: string;
  text: string;
  /** What it was to have beside the usual headers. */
  headers?: Record<string, string>;
}

/** Resend in miniature: what it has taken, once for each name. */
export interface MailService extends Peer {
  readonly mails: SentMail[];
  /** Addresses that it takes no mail for. */
  readonly refused: Set<string>;
  /** What a Worker is to be bound to. */
  readonly bindings: Readonly<Record<string, string>>;
}

const lines = z.record(z.string().regex(/^[A-Za-z-]+$/), z.string().regex(/^[ -~]{1,900}$/));

const apiKey = "re_miniature_1";

/** Starts it. It keeps a name for as long as it runs; Resend, for a day. */
export async function startMail({ port = 0 }: { port?: number } = {}): Promise<MailService> {
  const taken = new Map<string, { said: string; id: string }>();
  const mails: SentMail[] = [];
  const refused = new Set<string>();
  const peer = await startPeer({ port, handle: take });
  const bindings = { MAIL_API_KEY: apiKey, MAIL_FROM: "Acme <hello@acme.example>", MAIL_API_BASE: peer.url };
  return Object.assign(peer, { mails, refused, bindings });

  function take(request: PeerRequest): PeerAnswer {
    if (request.method !== "POST" || request.path !== "/emails")
      return failure(404, "not_found", "There is no such endpoint");
    if (request.headers["user-agent"] === undefined) return failure(403, "forbidden", "A User-Agent is needed");
    if (request.headers["authorization"] !== `Bearer ${apiKey}`)
      return failure(403, "invalid_api_key", "API key is invalid");
    const key = request.headers["idempotency-key"] ?? "";
    if (key.length > 256) return failure(400, "invalid_idempotency_key", "The key must be between 1-256 chars");
    const known = taken.get(key);
    if (known !== undefined && known.said !== request.text) {
      return failure(409, "invalid_idempotent_request", "The key was used with another body");
    }
    if (known !== undefined) return { status: 200, body: { id: known.id } };
    const { from, to, subject, text, headers }: Record<string, unknown> = JSON.parse(request.text);
    const [address]: unknown[] = Array.isArray(to) ? to : [to];
    const all = [from, address, subject, text];
    if (!all.every((one) => typeof one === "string" && one !== "")) {
      return failure(422, "missing_required_field", "Missing `to`, `from`, `subject` or `text`");
    }
    if (!/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(String(address)) || refused.has(String(address))) {
      return failure(422, "validation_error", `Invalid \`to\` field: ${String(address)}`);
    }
    const more = headersOf(headers);
    if (more === null) return failure(422, "validation_error", "The `headers` field must be of texts, a line each");
    const id = `mail-${mails.length + 1}`;
    if (key !== "") taken.set(key, { said: request.text, id });
    mails.push({ key, from: String(from), to: String(address), subject: String(subject), text: String(text), ...more });
    return { status: 200, body: { id } };
  }
}

/** Those of a mail; null where it cannot have them. */
function headersOf(headers: unknown): { headers?: Record<string, string> } | null {
  if (headers === undefined) return {};
  const { data } = lines.safeParse(headers);
  return data === undefined ? null : { headers: data };
}

function failure(statusCode: number, name: string, message: string): PeerAnswer {
  return { status: statusCode, body: { statusCode, name, message } };
}
