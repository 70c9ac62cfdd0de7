import * as z from "zod";
import { localEndpoint, optional } from "./form.ts";

/** The operator's bot: https://core.telegram.org/bots/api. */
export interface TelegramAccount {
  readonly token: string;
  /** Where the Bot API is, on the local stack only; null: where it is. */
  readonly api_base: string | null;
}

export const telegramBindings = {
  TELEGRAM_BOT_TOKEN: optional(z.string().regex(/^\d{1,20}:[\w-]{20,100}$/, "must be a bot's token (123456:…)")),
  TELEGRAM_API_BASE: optional(localEndpoint),
};

export function telegramAccount(bound: z.infer<z.ZodObject<typeof telegramBindings>>): TelegramAccount | null {
  const { TELEGRAM_BOT_TOKEN, TELEGRAM_API_BASE } = bound;
  return TELEGRAM_BOT_TOKEN === undefined ? null : { token: TELEGRAM_BOT_TOKEN, api_base: TELEGRAM_API_BASE ?? null };
}
