import * as z from "zod";
import { type BtcpayAccount, btcpayAccount, btcpayBindings } from "./env/btcpay.ts";
import { localEndpoint, loopback, optional, refused, refusePlain } from "./env/form.ts";
import { type MailAccount, mailAccount, mailBindings } from "./env/mail.ts";
import { type ProvisionerAccount, provisionerAccount, provisionerBindings } from "./env/provisioner.ts";
import { type StripeAccount, stripeAccount, stripeBindings } from "./env/stripe.ts";
import { type TelegramAccount, telegramAccount, telegramBindings } from "./env/telegram.ts";

export type { HttpProvisioner, MarzbanPanel, ProvisionerAccount } from "./env/provisioner.ts";
export type { BtcpayAccount, MailAccount, StripeAccount, TelegramAccount };

/** Where the database is: a connection string of the Worker's role and, on the local stack only, the bridge to it. */
export interface Database {
  readonly url: string;
  readonly fetch_endpoint: string | null;
}

/** What the Worker was configured with, parsed. */
export interface Settings {
  readonly database: Database;
  /** Null: this deployment sells nothing, and what needs Stripe says `misconfigured`. */
  readonly stripe: StripeAccount | null;
  /** Null: nobody pays this deployment in crypto. */
  readonly btcpay: BtcpayAccount | null;
  /** Where this deployment is, from outside: `https://tollgate.example`. Null: its mails name no way back to it. */
  readonly public_url: string | null;
  /**
   * What the secrets of webhook endpoints are made from, and what unsubscribe links are authenticated with; null: no endpoint can be made,
   * nothing is delivered to any, and mails have no such link. Changed, it changes every endpoint's secret, and old links are none.
   */
  readonly webhook_key: Uint8Array<ArrayBuffer> | null;
  /** The local stack: what leaves the house may go to this machine, by plain http. */
  readonly local: boolean;
  /** Null: this deployment sends no mail. */
  readonly mail: MailAccount | null;
  /** Null: this deployment has no bot. */
  readonly telegram: TelegramAccount | null;
  /** Where a checkout may send a customer back to: `https://app.example`. */
  readonly checkout_origins: readonly string[];
  /** Null: nobody is told by us which keys to add; who provisions asks for the list. */
  readonly provisioner: ProvisionerAccount | null;
  /** The documentation page's files; absent where the bundle runs without wrangler. */
  readonly assets: { fetch(request: Request): Promise<Response> } | null;
}

const postgresUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== "" && url.username !== "";
}, "must be postgres://user:password@host/database");

/** At least 32 random bytes in base64. */
const signingKey = z.string().transform((text, context) => {
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    if (bytes.length >= 32) return bytes;
  } catch {
    // Not base64: said below, without its value.
  }
  context.addIssue({ code: "custom", message: "must be 32 random bytes or more in base64 (openssl rand -base64 32)" });
  return z.NEVER;
});

/** A text's origin, where it is no more than one. Plain http is for this machine: a customer's way back is a door for who listens. */
function originOf(text: string): string | null {
  const url = URL.parse(text.trim());
  const safe = url?.protocol === "https:" || (url?.protocol === "http:" && loopback.has(url.hostname));
  return url !== null && safe && `${url.origin}/` === url.href ? url.origin : null;
}

/** Origins, with commas between. */
const origins = z.string().transform((text, context) =>
  text.split(",").map((part) => {
    const origin = originOf(part);
    if (origin !== null) return origin;
    context.addIssue({ code: "custom", message: "must be origins (https://app.example), with commas between" });
    return z.NEVER;
  }),
);

const ownOrigin = z.string().transform((text, context) => {
  const origin = originOf(text);
  if (origin !== null) return origin;
  context.addIssue({ code: "custom", message: "must be this deployment's own origin (https://tollgate.example)" });
  return z.NEVER;
});

/** The only description of the bindings; those of an account are in its own file. */
const bindings = z.object({
  DATABASE_URL: postgresUrl,
  DATABASE_FETCH_ENDPOINT: localEndpoint.optional(),
  ...stripeBindings,
  ...btcpayBindings,
  CHECKOUT_ORIGINS: optional(origins),
  PUBLIC_URL: optional(ownOrigin),
  WEBHOOK_SIGNING_KEY: optional(signingKey),
  ...provisionerBindings,
  ...mailBindings,
  ...telegramBindings,
  ASSETS: z.custom<{ fetch(request: Request): Promise<Response> }>((value) => typeof value === "object").optional(),
});

const known = new WeakMap<object, Settings>();

/**
 * Reads the bindings, once for each env object (an isolate has one).
 * Throws `misconfigured` naming the binding, never its value.
 */
export function settings(env: object): Settings {
  const seen = known.get(env);
  if (seen !== undefined) return seen;
  const parsed = bindings.safeParse(env);
  if (!parsed.success) throw refused(parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`));
  const { DATABASE_URL, DATABASE_FETCH_ENDPOINT, CHECKOUT_ORIGINS, PUBLIC_URL, WEBHOOK_SIGNING_KEY, ASSETS } =
    parsed.data;
  const local = DATABASE_FETCH_ENDPOINT !== undefined;
  if (PUBLIC_URL !== undefined) refusePlain("PUBLIC_URL", PUBLIC_URL, local);
  const fresh: Settings = {
    database: { url: DATABASE_URL, fetch_endpoint: DATABASE_FETCH_ENDPOINT ?? null },
    stripe: stripeAccount(parsed.data),
    btcpay: btcpayAccount(parsed.data, local),
    public_url: PUBLIC_URL ?? null,
    webhook_key: WEBHOOK_SIGNING_KEY ?? null,
    local,
    mail: mailAccount(parsed.data),
    telegram: telegramAccount(parsed.data),
    checkout_origins: CHECKOUT_ORIGINS ?? [],
    provisioner: provisionerAccount(parsed.data, local),
    assets: ASSETS ?? null,
  };
  known.set(env, fresh);
  return fresh;
}
