import { type Peer, type PeerAnswer, type PeerRequest, startPeer } from "./peer.ts";

/** What stands in a chat. */
export interface SentText {
  chat: number;
  text: string;
}

/** The Bot API in miniature: it knows one bot, every chat that nobody took away from it, and no idempotency. */
export interface TelegramService extends Peer {
  readonly texts: SentText[];
  /** Chats whose owner has blocked the bot. */
  readonly blocked: Set<number>;
  /** Chats that it has never heard of. */
  readonly unknown: Set<number>;
  /** Seconds to wait that it answers the next request with, as the Bot API does: in the body. */
  floods(seconds: number): void;
  /** What a Worker is to be bound to. */
  readonly bindings: Readonly<Record<string, string>>;
}

const token = `4711:${"miniature".repeat(4)}`;

export async function startTelegram({ port = 0 }: { port?: number } = {}): Promise<TelegramService> {
  const texts: SentText[] = [];
  const blocked = new Set<number>();
  const unknown = new Set<number>();
  let flood: number | null = null;
  const peer = await startPeer({ port, handle: take });
  const bindings = { TELEGRAM_BOT_TOKEN: token, TELEGRAM_API_BASE: peer.url };
  return Object.assign(peer, {
    texts,
    blocked,
    unknown,
    bindings,
    floods: (seconds: number) => void (flood = seconds),
  });

  function take(request: PeerRequest): PeerAnswer {
    if (request.path !== `/bot${token}/sendMessage`) return failure(404, "Not Found");
    const { chat_id, text }: Record<string, unknown> = JSON.parse(request.text);
    const chat = Number(chat_id);
    if (flood !== null) {
      const retry_after = flood;
      flood = null;
      return failure(429, `Too Many Requests: retry after ${retry_after}`, { retry_after });
    }
    if (blocked.has(chat)) return failure(403, "Forbidden: bot was blocked by the user");
    if (unknown.has(chat)) return failure(400, "Bad Request: chat not found");
    if (typeof text !== "string" || text.trim() === "") return failure(400, "Bad Request: message text is empty");
    if (text.length > 4096) return failure(400, "Bad Request: message is too long");
    texts.push({ chat, text });
    return { status: 200, body: { ok: true, result: { message_id: texts.length, chat: { id: chat }, text } } };
  }
}

function failure(error_code: number, description: string, parameters?: object): PeerAnswer {
  return { status: error_code, body: { ok: false, error_code, description, ...(parameters && { parameters }) } };
}
