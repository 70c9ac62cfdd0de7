import * as z from "zod";
import { localEndpoint, optional, refused } from "./form.ts";

/** Who sends mail to the operator's customers: an account at Resend, https://resend.com/docs/api-reference. */
export interface MailAccount {
  readonly api_key: string;
  /** `Acme <hello@acme.example>`, or the address alone. */
  readonly from: string;
  /** Where Resend is, on the local stack only; null: where Resend is. */
  readonly api_base: string | null;
}

/** An address, or a name with an address: whom mail is from. */
const sender = z
  .string()
  .max(320)
  .regex(/^(?:[^<>\p{Cc}]+<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/u, "must be an address, or Name <address>");

export const mailBindings = {
  MAIL_API_KEY: optional(z.string().regex(/^re_\w+$/, "must be a key of Resend's (re_…)")),
  MAIL_FROM: optional(sender),
  MAIL_API_BASE: optional(localEndpoint),
};

/** A key without a sender would be found out by the first message only: it is said at once. */
export function mailAccount(bound: z.infer<z.ZodObject<typeof mailBindings>>): MailAccount | null {
  const { MAIL_API_KEY, MAIL_FROM, MAIL_API_BASE } = bound;
  if (MAIL_API_KEY === undefined) return null;
  if (MAIL_FROM === undefined) {
    throw refused(["MAIL_FROM: is needed with MAIL_API_KEY"]);
  }
  return { api_key: MAIL_API_KEY, from: MAIL_FROM, api_base: MAIL_API_BASE ?? null };
}
