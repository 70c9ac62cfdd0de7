import * as z from "zod";
import type { MailAccount, TelegramAccount } from "../env.ts";
import { routine } from "../db/routine.ts";
import { Refused, Unreachable } from "../outside/peer.ts";
import { sendMail } from "../outside/mail.ts";
import { sendText } from "../outside/telegram.ts";
import type { Shift } from "../sweeps/shift.ts";
import type { Courier, Delivery, Send } from "./courier.ts";
import { type Channel, type Letter, Unwritable, writeLetter } from "./letter.ts";

const text = z.array(z.string().nullable());

const lettersCall = routine({
  name: "messages.letters",
  context: {},
  args: z.strictObject({ ids: z.array(z.string()) }),
  result: z.object({ addresses: text, languages: text, text_languages: text, subjects: text, bodies: text }),
});

/** How to write and send each of a batch: whom, in which language and by which text is read once for all of it. */
async function correspondence(
  shift: Shift,
  channel: Channel,
  batch: readonly Delivery[],
  post: (delivery: Delivery, address: string, letter: Letter) => Promise<void>,
): Promise<Send> {
  const found = await shift.call(lettersCall, { ids: batch.map(({ id }) => id) });
  const places = new Map(batch.map(({ id }, i) => [id, i]));
  return async (delivery) => {
    const i = places.get(delivery.id) ?? -1;
    const [address, language] = [found.addresses[i], found.languages[i]];
    if (typeof address !== "string" || typeof language !== "string")
      throw new Unreachable("its contact is gone", "gone");
    const [spoken, subject, body] = [found.text_languages[i], found.subjects[i], found.bodies[i]];
    const template =
      typeof spoken === "string" && typeof body === "string"
        ? { language: spoken, subject: subject ?? null, body }
        : null;
    await post(delivery, address, written({ channel, kind: delivery.kind, data: delivery.body, language, template }));
  };
}

/** A letter that cannot be written is nobody's to send: another try would write it no better, and its kind's next is none either. */
function written(of: Parameters<typeof writeLetter>[0]): Letter {
  try {
    return writeLetter(of);
  } catch (error) {
    if (error instanceof Unwritable) throw new Refused(error.message);
    throw error;
  }
}

/** Resend takes two requests a second. */
const pace_ms = 550;

/** Sends e-mail. A message's id is its name at Resend, so that what was sent before a crash is not sent again. */
export const emailCourier: Courier<MailAccount> = {
  channel: "email",
  account: ({ mail }) => mail,
  // Only the local stack has another base, whose mail service counts nothing.
  pace_ms: ({ api_base }) => (api_base === null ? pace_ms : null),
  calls: [lettersCall],
  sender: (shift, account, batch) =>
    correspondence(shift, "email", batch, ({ id }, to, { subject, text: body }) =>
      sendMail(account, { id, to, subject, text: body }),
    ),
};

/** Writes to chats as the operator's bot. */
export const telegramCourier: Courier<TelegramAccount> = {
  channel: "telegram",
  account: ({ telegram }) => telegram,
  calls: [lettersCall],
  sender: (shift, account, batch) =>
    correspondence(shift, "telegram", batch, (_, chat, letter) => sendText(account, chat, letter.text)),
};
