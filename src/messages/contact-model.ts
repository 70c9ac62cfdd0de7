import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { moment, uuid } from "../http/parameters.ts";
import { isBroadcast, kindOf } from "./kinds.ts";

export const channel = z.enum(["email", "telegram"]);

export const language = z
  .string()
  .regex(/^[a-z]{2,3}(?:-[A-Z]{2})?$/, "must be a language (de), or one of a country (de-AT)")
  .meta({ example: "de" });

/** A Telegram chat's id: not 0, and within the 52 bits that the Bot API promises. */
const chat = /^-?[1-9]\d{0,15}$/;
const email = z.email().max(254);

const optOut = z
  .string()
  .max(80)
  .refine((name) => name === "*" || name === "broadcast.*" || isBroadcast(name) || kindOf(name) !== undefined, {
    message: "must be a kind of message, `broadcast.*`, or `*`",
  });
const optOuts = z
  .array(optOut)
  .max(50)
  .refine((names) => new Set(names).size === names.length, "must not say one twice")
  .meta({
    description: "Kinds that are not sent there: `broadcast.*` is every broadcast, `*` everything.",
    example: ["broadcast.*"],
  });

export const contactParams = z.strictObject({ workspace: uuid, contact: uuid });
export const contactsParams = z.strictObject({ workspace: uuid });
export const contactsQuery = z.strictObject(pageQuery);

export const contactBody = z
  .strictObject({
    channel,
    address: z.string().min(1).max(254).meta({
      description: "Of `email`, an e-mail address; of `telegram`, a chat's id, as the bot is told it: digits.",
    }),
    language: language.default("en").meta({ description: "What it is written to in, where there is a text in it." }),
    opt_outs: optOuts.default([]),
  })
  .superRefine(({ channel: of, address }, context) => {
    const fits =
      of === "email" ? email.safeParse(address).success : chat.test(address) && Number.isSafeInteger(Number(address));
    if (!fits) {
      const message = of === "email" ? "must be an e-mail address" : "must be the id of a chat: digits";
      context.addIssue({ code: "custom", path: ["address"], message, input: address });
    }
  })
  .meta({ example: { channel: "email", address: "ada@example.com", language: "de" } });

export const changeBody = z
  .strictObject({
    language: language.optional(),
    opt_outs: optOuts.optional(),
    silenced: z.boolean().optional().meta({
      description:
        "`false`: an address that took no message is tried again. `true`: nothing is sent there, say because a message to it bounced.",
    }),
    left: z.boolean().optional().meta({
      description:
        "`true`: he told you that he wants no broadcasts, as his own click says. `false`: he wants them again; nothing else brings him back.",
    }),
  })
  .meta({ example: { opt_outs: ["broadcast.*"] } });

export const contactItem = () =>
  z.object({
    id: uuid,
    workspace_id: uuid,
    channel,
    address: z.string(),
    language,
    opt_outs: z.array(z.string()),
    silenced_at: moment.nullable().meta({ description: "Since when nothing is sent there: it takes no message." }),
    silenced_reason: z.string().nullable().meta({ example: "blocked by the user" }),
    left_at: moment.nullable().meta({
      description:
        "Since when he has left broadcasts, by the link in one or as you said: he is sent none, whatever `opt_outs` says.",
    }),
    created_at: moment,
  });

export const deletedAnswer = () => z.object({ workspace_id: uuid, id: uuid, deleted_at: moment });

/** Addresses that are one: the part after the @ is a host's name, which has no capitals. */
export function addressOf(of: z.infer<typeof channel>, address: string): string {
  const at = address.lastIndexOf("@");
  return of === "email" ? address.slice(0, at) + address.slice(at).toLowerCase() : address;
}
