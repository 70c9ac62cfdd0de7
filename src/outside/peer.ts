/** The peer will never take this: not now, and not later. */
export class Refused extends Error {}

/** The peer says that it is no more, and is not to be asked again for anything. */
export class Gone extends Refused {
  /** Where it said so. */
  readonly url: string;

  constructor(message: string, url: string) {
    super(message);
    this.url = url;
  }
}

/** Whom it is for takes nothing from us any more: he blocked us, or is gone. */
export class Unreachable extends Refused {
  /** In the peer's words, a few of them. */
  readonly reason: string;

  constructor(message: string, reason: string) {
    super(message);
    this.reason = reason;
  }
}

/** The peer is down, slow, throttles, answers nonsense, or does not know us: what it was asked for may be asked for again. */
export class Unavailable extends Error {
  /** Seconds before which it is not to be asked again; null: it did not say. */
  readonly retry_after: number | null;

  constructor(message: string, retry_after: number | null = null, options: ErrorOptions = {}) {
    super(message, options);
    this.retry_after = retry_after;
  }
}

/** The peer does not take this now, and takes others: it alone is to come later. */
export class Later extends Error {
  /** Seconds before which it is not to come again; null: the peer did not say. */
  readonly retry_after: number | null;

  constructor(message: string, retry_after: number | null) {
    super(message);
    this.retry_after = retry_after;
  }
}

/** What a peer answered, whole. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

export interface Limits {
  /** Of the answer's body, counted: what it says of its length may be wrong. 0: it is not read, whatever it has. */
  limit_bytes?: number;
  /** Over the question, the answer's head and its body together. */
  timeout_ms?: number;
}

/**
 * Asks a peer once: no redirect is followed, 15 seconds and 64 kB at most. Throws `Unavailable` where there is no whole answer; what
 * the peer did then is unknown.
 */
export async function askPeer(
  url: string,
  init: RequestInit,
  { limit_bytes = 65_536, timeout_ms = 15_000 }: Limits = {},
): Promise<Answer> {
  const signal = AbortSignal.timeout(timeout_ms);
  try {
    const response = await fetch(url, { ...init, redirect: "manual", signal });
    return {
      status: response.status,
      headers: response.headers,
      text: await readText(response.body, limit_bytes),
    };
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    const message = signal.aborted ? `no whole answer within ${timeout_ms / 1000} s` : "the connection failed";
    throw new Unavailable(message, null, { cause: error });
  }
}

/** Reads a body of so many bytes at most; the rest of a longer one is never read. */
async function readText(body: ReadableStream<Uint8Array> | null, limit_bytes: number): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  const reader = body.getReader();
  if (limit_bytes === 0) {
    reader.cancel().catch(() => undefined);
    return "";
  }
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > limit_bytes) {
      // The peer may go on for ever; whether it hears that nobody listens is its affair.
      reader.cancel().catch(() => undefined);
      throw new Unavailable(`the answer has more than ${limit_bytes} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}

/** What a peer's throttling, its failures and our own credentials' are told by: asked again, they may pass. */
const passing = new Set([401, 403, 408, 425, 429]);

/** Throws unless it is a 2xx: `Unavailable` for what may pass, a redirect among it, `Refused` for the rest. */
export function demandOk(answer: Answer): void {
  const { status, headers } = answer;
  if (status >= 200 && status < 300) return;
  const message = `answered ${status}`;
  if (status >= 400 && status < 500 && !passing.has(status)) throw new Refused(message);
  throw new Unavailable(message, retryAfter(headers.get("Retry-After")));
}

const longest_seconds = 86_400;

/** Retry-After, in seconds or as a date (RFC 9110, 10.2.3); a day at most. Null where it says nothing that can be read. */
export function retryAfter(text: string | null): number | null {
  if (text === null) return null;
  const said = text.trim();
  const isDate = /^[A-Z][a-z]{2}, .* GMT$/.test(said);
  const seconds = /^\d{1,9}$/.test(said)
    ? Number(said)
    : isDate
      ? Math.ceil((Date.parse(said) - Date.now()) / 1000)
      : NaN;
  return Number.isNaN(seconds) ? null : Math.min(Math.max(seconds, 0), longest_seconds);
}
