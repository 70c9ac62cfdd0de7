import * as z from "zod";
import type { MailAccount, TelegramAccount } from "../env.ts";
import { routine } from "../db/routine.ts";
import { Later, Refused, Unreachable } from "../outside/peer.ts";
import { sendMail } from "../outside/mail.ts";
import { sendText } from "../outside/telegram.ts";
import type { Shift } from "../sweeps/shift.ts";
import type { Courier, Delivery, Send } from "./courier.ts";
import { isBroadcast } from "./kinds.ts";
import { type Channel, Lacking, type Letter, Unwritable, writeLetter } from "./letter.ts";
import { headersOf, tokensOf, type WayOut, wayOutOf, wayOutUrl, wayOutWord } from "./way-out.ts";

const text = z.array(z.string().nullable());

const lettersCall = routine({
  name: "messages.letters",
  context: {},
  args: z.strictObject({ ids: z.array(z.string()) }),
  result: z.object({ addresses: text, languages: text, text_languages: text, subjects: text, bodies: text }),
});

/** Writes one reader's letter, with words of the house's for what its texts name and its data lack. */
type Write = (words?: Readonly<Record<string, string>>) => Letter;

/** How to write and send each of a batch: whom, in which language and by which text is read once for all of it. */
async function correspondence(
  shift: Shift,
  channel: Channel,
  batch: readonly Delivery[],
  post: (delivery: Delivery, address: string, write: Write) => Promise<void>,
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
    await post(delivery, address, (words = {}) =>
      written({ channel, kind: delivery.kind, data: { ...words, ...delivery.body }, language, template }),
    );
  };
}

/**
 * A letter that cannot be written is nobody's to send: another try would write it no better, and its kind's next is none either. Where it
 * lacks what this deployment gave when it was started, that is the deployment's fault, and a person can mend it: it waits, and receipts do not wait with it.
 */
function written(of: Parameters<typeof writeLetter>[0]): Letter {
  try {
    return writeLetter(of);
  } catch (error) {
    if (error instanceof Lacking && error.word === wayOutWord && of.channel === "email" && isBroadcast(of.kind)) {
      const message = `there is no ${wayOutWord}: this deployment does not know its own address, or has no signing key`;
      throw new Later(message, null);
    }
    if (error instanceof Unwritable) throw new Refused(error.message);
    throw error;
  }
}

/** Resend takes two requests a second. */
const pace_ms = 550;

interface Postbox {
  mail: MailAccount;
  way_out: WayOut | null;
}

/** Where a mail's reader leaves broadcasts; null of a notice, for a receipt is no broadcast. */
async function wayFor(way_out: WayOut | null): Promise<(delivery: Delivery) => Promise<string | null>> {
  if (way_out === null) return async () => null;
  const tokens = await tokensOf(way_out.key);
  return async ({ kind, contact_id }) =>
    isBroadcast(kind) && contact_id !== null
      ? wayOutUrl(way_out.origin, await tokens.make({ contact_id, kind }))
      : null;
}

/** Sends e-mail. A message's id is its name at Resend, so that what was sent before a crash is not sent again. */
export const emailCourier: Courier<Postbox> = {
  channel: "email",
  account: (settings) => (settings.mail === null ? null : { mail: settings.mail, way_out: wayOutOf(settings) }),
  // Only the local stack has another base, whose mail service counts nothing.
  pace_ms: ({ mail }) => (mail.api_base === null ? pace_ms : null),
  calls: [lettersCall],
  sender: async (shift, { mail, way_out }, batch) => {
    const urlFor = await wayFor(way_out);
    return correspondence(shift, "email", batch, async (delivery, to, write) => {
      const url = await urlFor(delivery);
      const { subject, text: body } = write(url === null ? {} : { [wayOutWord]: url });
      const headers = url === null ? undefined : headersOf(url);
      await sendMail(mail, { id: delivery.id, to, subject, text: body, headers });
    });
  },
};

/** Writes to chats as the operator's bot. */
export const telegramCourier: Courier<TelegramAccount> = {
  channel: "telegram",
  account: ({ telegram }) => telegram,
  calls: [lettersCall],
  sender: (shift, account, batch) =>
    correspondence(shift, "telegram", batch, (_, chat, write) => sendText(account, chat, write().text)),
};
