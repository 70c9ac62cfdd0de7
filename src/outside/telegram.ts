import * as z from "zod";
import type { TelegramAccount } from "../env.ts";
import { type Answer, askPeer, demandOk, Later, type Limits, retryAfter, Unavailable, Unreachable } from "./peer.ts";

const answered = z.object({
  ok: z.boolean(),
  description: z.string().optional(),
  parameters: z.object({ retry_after: z.int().min(0).optional() }).optional(),
});

/** What the Bot API says (in a 400; any 403 is of its chat) of a chat that this bot cannot write to, and never will before its owner does something. */
const gone =
  /blocked by the user|deactivated|can't initiate|kicked|not a member|chat not found|user not found|PEER_ID_INVALID|upgraded to a supergroup|have no rights|WRITE_FORBIDDEN/i;

/**
 * Sends a text to a chat, as it stands: without `parse_mode` nothing in it is a mark. The Bot API knows no idempotency: sent twice, it
 * is there twice. Throws `Unreachable` where the chat takes nothing from us, `Refused` where it does not take this, `Later` where it has enough for now, and
 * `Unavailable`.
 */
export async function sendText(
  account: TelegramAccount,
  chat: string,
  text: string,
  limits: Limits = {},
): Promise<void> {
  const init = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ chat_id: Number(chat), text }),
  };
  const address = `${account.api_base ?? "https://api.telegram.org"}/bot${account.token}/sendMessage`;
  const answer = await askPeer(address, init, limits);
  const { status } = answer;
  const body = said(answer);
  if (body === null) {
    // Not the Bot API's word but somebody's before it: whether the chat takes it is not known.
    throw new Unavailable(
      `answered ${status}, and nothing that can be read`,
      retryAfter(answer.headers.get("Retry-After")),
    );
  }
  if (body.ok && status === 200) return;
  const [word] = gone.exec(body.description ?? "") ?? [];
  const reason = status === 403 ? (word ?? "forbidden") : status === 400 ? word : undefined;
  if (reason !== undefined) throw new Unreachable(`answered ${status}: ${reason}`, reason);
  // A token that is none is a 404: that is ours, and no chat's.
  if (status === 404) throw new Unavailable("answered 404: it does not know the bot");
  const asked = body.parameters?.retry_after ?? null;
  const rest = asked === null ? null : Math.min(asked, 86_400);
  // A group takes so many a minute, whoever else is written to.
  if (status === 429 && Number(chat) < 0) throw new Later("answered 429: the group has enough for now", rest);
  if (rest !== null) throw new Unavailable(`answered ${status}`, rest);
  demandOk(answer);
  throw new Unavailable(`answered ${status}, but not ok`);
}

function said({ text }: Answer): z.infer<typeof answered> | null {
  try {
    return answered.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
