import * as z from "zod";
import type { MailAccount } from "../env.ts";
import { type Answer, askPeer, demandOk, type Limits, Refused, Unavailable, Unreachable } from "./peer.ts";

export interface Mail {
  /** Names it for a day: Resend sends nothing twice under one name. */
  id: string;
  to: string;
  subject: string;
  text: string;
  /** Beside those that Resend writes. */
  headers?: Readonly<Record<string, string>> | undefined;
}

/** Resend counts by the day and the month too, and says no time then: nothing comes of asking before an hour has passed. */
const quotaRest_seconds = 3600;

/**
 * Sends a mail. Sent again under its id it is one mail. Throws `Unreachable` where its address takes none, `Refused` where this mail will never be taken, `Unavailable` where the
 * next may be refused for the same reason: too many, a key or an address of ours that Resend does not take, nobody there.
 */
export async function sendMail(
  account: MailAccount,
  { id, to, subject, text, headers }: Mail,
  limits: Limits = {},
): Promise<void> {
  const init = {
    method: "POST",
    headers: {
      Authorization: `Bearer ${account.api_key}`,
      "Content-Type": "application/json",
      "Idempotency-Key": id,
      // Resend refuses who does not say what he is.
      "User-Agent": "tollgate",
    },
    body: JSON.stringify({ from: account.from, to: [to], subject, text, headers }),
  };
  const answer = await askPeer(`${account.api_base ?? "https://api.resend.com"}/emails`, init, limits);
  const { status } = answer;
  const { name, id: sent, message: told } = said(answer);
  // Under this name another text was sent: it was this mail, before its text or its reader's language changed.
  if (name === "invalid_idempotent_request") return;
  if (status === 200 && sent === undefined) throw new Unavailable("answered 200, and nothing that can be read");
  const message = `answered ${status}${name === undefined ? "" : ` ${name}`}`;
  if (status === 409 || name === "invalid_from_address") throw new Unavailable(message);
  try {
    demandOk(answer);
  } catch (error) {
    if (error instanceof Refused && aboutAddress.test(told)) throw new Unreachable(message, "no address for mail");
    if (error instanceof Refused) throw new Refused(message, { cause: error });
    if (!(error instanceof Unavailable)) throw error;
    const rest = error.retry_after ?? (name?.endsWith("_quota_exceeded") === true ? quotaRest_seconds : null);
    throw new Unavailable(message, rest, { cause: error });
  }
}

/** What Resend says of an address that it takes no mail for; of anything else it says which field, too. */
const aboutAddress = /^Invalid `to` field/;

const spoken = z.object({
  name: z
    .string()
    .regex(/^[a-z_]{1,60}$/)
    .optional()
    .catch(undefined),
  id: z.string().min(1).optional().catch(undefined),
  message: z.string().catch(""),
});

/** Resend's own name of an error, or the id of what it has taken. Its message is for nobody else: it may repeat what we sent. */
function said({ text }: Answer): z.infer<typeof spoken> {
  try {
    return spoken.safeParse(JSON.parse(text)).data ?? { message: "" };
  } catch {
    return { message: "" };
  }
}
