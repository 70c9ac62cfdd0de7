import * as z from "zod";
import type { BtcpayAccount, MailAccount, StripeAccount, TelegramAccount } from "./accounts.ts";
import { Problem } from "./http/problem.ts";

export type { BtcpayAccount, StripeAccount };

/** Where the database is: a connection string of the Worker's role and, on the local stack only, the bridge to it. */
export interface Database {
  readonly url: string;
  readonly fetch_endpoint: string | null;
}

/** The operator's own provisioner, which keeps our contract (README, "Provisioning"). */
export interface HttpProvisioner {
  readonly kind: "http";
  /** Without a slash at its end. */
  readonly url: string;
  readonly secret: string;
}

/** What a panel's user is to be made with, by protocol. */
export type PanelProxies = z.infer<typeof panelProxies>;

/** A VPN panel, and who we are there. */
export interface MarzbanPanel {
  readonly kind: "marzban";
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly proxies: PanelProxies;
}

/** What lets customers in by their keys. */
export type ProvisionerAccount = HttpProvisioner | MarzbanPanel;

/** What the Worker was configured with, parsed. */
export interface Settings {
  readonly database: Database;
  /** Null: this deployment sells nothing, and what needs Stripe says `misconfigured`. */
  readonly stripe: StripeAccount | null;
  /** Null: nobody pays this deployment in crypto. */
  readonly btcpay: BtcpayAccount | null;
  /**
   * What the secrets of webhook endpoints are made from; null: no endpoint can be made, and nothing is delivered to any. Changed, it
   * changes every endpoint's secret.
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

const loopback = new Set(["127.0.0.1", "[::1]", "localhost"]);

/**
 * An address that stands in for Neon or Stripe: every statement or secret key would go there, so one that leaves this
 * machine is refused. It exists for the local stack.
 */
const localEndpoint = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && url.protocol === "http:" && url.username === "" && loopback.has(url.hostname);
}, "must be http on a loopback address");

const postgresUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== "" && url.username !== "";
}, "must be postgres://user:password@host/database");

/** A binding that may be left out, or be left empty in a file of bindings. */
function optional<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value) => (value === "" ? undefined : value), schema.optional());
}

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

const webhookSecret = z.string().regex(/^whsec_[\w+/=-]+$/, "must be a webhook endpoint's secret (whsec_…)");

/** Origins, with commas between. Plain http is for this machine: a customer's way back is a door for who listens. */
const origins = z.string().transform((text, context) =>
  text.split(",").map((part) => {
    const url = URL.parse(part.trim());
    const safe = url?.protocol === "https:" || (url?.protocol === "http:" && loopback.has(url.hostname));
    if (url === null || !safe || `${url.origin}/` !== url.href) {
      context.addIssue({ code: "custom", message: "must be origins (https://app.example), with commas between" });
      return z.NEVER;
    }
    return url.origin;
  }),
);

/** Where a peer is whom we tell secrets. Plain http is for this machine, and only on the local stack. */
const peerUrl = z
  .string()
  .refine((text) => {
    const url = URL.parse(text);
    const plain = url !== null && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
    return plain && (url.protocol === "https:" || (url.protocol === "http:" && loopback.has(url.hostname)));
  }, "must be https, with no user, query or fragment in it")
  .transform((text) => text.replace(/\/+$/, ""));

const signingSecret = z
  .string()
  .regex(
    /^whsec_(?:[A-Za-z\d+/]{4}){8,}(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/,
    "must be whsec_ and 24 bytes or more in base64",
  );

const panelProxies = z
  .partialRecord(
    z.enum(["vmess", "vless", "trojan", "shadowsocks"]),
    z.strictObject({
      flow: z.string().optional(),
      method: z.string().optional(),
      inbounds: z.array(z.string()).optional(),
    }),
  )
  .refine((proxies) => Object.keys(proxies).length > 0, "must name a protocol");

const jsonOf = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: "custom", message: "must be JSON" });
        return z.NEVER;
      }
    })
    .pipe(schema);

const printable = z.string().regex(/^[!-~]{8,500}$/, "must have 8 printable characters or more");
/** An address, or a name with an address: whom mail is from. */
const sender = z
  .string()
  .max(320)
  .regex(/^(?:[^<>\p{Cc}]+<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/u, "must be an address, or Name <address>");

/** The only description of the bindings. */
const bindings = z.object({
  DATABASE_URL: postgresUrl,
  DATABASE_FETCH_ENDPOINT: localEndpoint.optional(),
  STRIPE_SECRET_KEY: optional(z.string().regex(/^[sr]k_(?:test|live)_\w+$/, "must be a secret key (sk_… or rk_…)")),
  STRIPE_WEBHOOK_SECRET: optional(webhookSecret),
  STRIPE_WEBHOOK_SECRET_OLD: optional(webhookSecret),
  STRIPE_API_BASE: optional(localEndpoint),
  BTCPAY_URL: optional(peerUrl),
  BTCPAY_API_KEY: optional(printable),
  BTCPAY_STORE_ID: optional(z.string().regex(/^\w{1,100}$/, "must be a store's id")),
  BTCPAY_WEBHOOK_SECRET: optional(printable),
  BTCPAY_WEBHOOK_SECRET_OLD: optional(printable),
  CHECKOUT_ORIGINS: optional(origins),
  WEBHOOK_SIGNING_KEY: optional(signingKey),
  PROVISIONER_KIND: optional(z.enum(["http", "marzban"])),
  PROVISIONER_URL: optional(peerUrl),
  PROVISIONER_SECRET: optional(signingSecret),
  PROVISIONER_USER: optional(z.string()),
  PROVISIONER_PASSWORD: optional(z.string()),
  PROVISIONER_PROXIES: optional(jsonOf(panelProxies)),
  MAIL_API_KEY: optional(z.string().regex(/^re_\w+$/, "must be a key of Resend's (re_…)")),
  MAIL_FROM: optional(sender),
  MAIL_API_BASE: optional(localEndpoint),
  TELEGRAM_BOT_TOKEN: optional(z.string().regex(/^\d{1,20}:[\w-]{20,100}$/, "must be a bot's token (123456:…)")),
  TELEGRAM_API_BASE: optional(localEndpoint),
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
  const { DATABASE_URL, DATABASE_FETCH_ENDPOINT, CHECKOUT_ORIGINS, WEBHOOK_SIGNING_KEY, ASSETS } = parsed.data;
  const fresh: Settings = {
    database: { url: DATABASE_URL, fetch_endpoint: DATABASE_FETCH_ENDPOINT ?? null },
    stripe: stripeAccount(parsed.data),
    btcpay: btcpayAccount(parsed.data),
    webhook_key: WEBHOOK_SIGNING_KEY ?? null,
    local: DATABASE_FETCH_ENDPOINT !== undefined,
    mail: mailAccount(parsed.data),
    telegram: telegramAccount(parsed.data),
    checkout_origins: CHECKOUT_ORIGINS ?? [],
    provisioner: provisionerAccount(parsed.data),
    assets: ASSETS ?? null,
  };
  known.set(env, fresh);
  return fresh;
}

function refused(faults: readonly string[]): Problem {
  return new Problem("misconfigured", {}, { cause: new Error(`bindings refused: ${faults.join("; ")}`) });
}

function refusePlain(name: string, url: string, { DATABASE_FETCH_ENDPOINT }: z.infer<typeof bindings>): void {
  if (!url.startsWith("http:") || DATABASE_FETCH_ENDPOINT !== undefined) return;
  throw refused([`${name}: must be https: only the local stack has one on this machine`]);
}

function provisionerAccount(bound: z.infer<typeof bindings>): ProvisionerAccount | null {
  const kind = bound.PROVISIONER_KIND;
  if (kind === undefined) return null;
  const needed = <Value>(name: string, value: Value | undefined): Value => {
    if (value === undefined) throw refused([`${name}: is needed where PROVISIONER_KIND is ${kind}`]);
    return value;
  };
  const url = needed("PROVISIONER_URL", bound.PROVISIONER_URL);
  refusePlain("PROVISIONER_URL", url, bound);
  if (kind === "http") return { kind, url, secret: needed("PROVISIONER_SECRET", bound.PROVISIONER_SECRET) };
  return {
    kind,
    url,
    user: needed("PROVISIONER_USER", bound.PROVISIONER_USER),
    password: needed("PROVISIONER_PASSWORD", bound.PROVISIONER_PASSWORD),
    proxies: bound.PROVISIONER_PROXIES ?? { vless: {} },
  };
}

function stripeAccount(bound: z.infer<typeof bindings>): StripeAccount | null {
  const { STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_WEBHOOK_SECRET_OLD, STRIPE_API_BASE } = bound;
  if (STRIPE_SECRET_KEY === undefined) return null;
  return {
    secret_key: STRIPE_SECRET_KEY,
    live: /^[sr]k_live_/.test(STRIPE_SECRET_KEY),
    webhook_secrets: [STRIPE_WEBHOOK_SECRET, STRIPE_WEBHOOK_SECRET_OLD].filter((secret) => secret !== undefined),
    api_base: STRIPE_API_BASE ?? null,
  };
}

function btcpayAccount(bound: z.infer<typeof bindings>): BtcpayAccount | null {
  const { BTCPAY_URL, BTCPAY_API_KEY, BTCPAY_STORE_ID, BTCPAY_WEBHOOK_SECRET, BTCPAY_WEBHOOK_SECRET_OLD } = bound;
  if (BTCPAY_URL !== undefined) refusePlain("BTCPAY_URL", BTCPAY_URL, bound);
  if (BTCPAY_URL === undefined || BTCPAY_API_KEY === undefined || BTCPAY_STORE_ID === undefined) return null;
  return {
    url: BTCPAY_URL,
    api_key: BTCPAY_API_KEY,
    store_id: BTCPAY_STORE_ID,
    webhook_secrets: [BTCPAY_WEBHOOK_SECRET, BTCPAY_WEBHOOK_SECRET_OLD].filter((secret) => secret !== undefined),
  };
}

/** A key without a sender would be found out by the first message only: it is said at once. */
function mailAccount(bound: z.infer<typeof bindings>): MailAccount | null {
  const { MAIL_API_KEY, MAIL_FROM, MAIL_API_BASE } = bound;
  if (MAIL_API_KEY === undefined) return null;
  if (MAIL_FROM === undefined) {
    throw refused(["MAIL_FROM: is needed with MAIL_API_KEY"]);
  }
  return { api_key: MAIL_API_KEY, from: MAIL_FROM, api_base: MAIL_API_BASE ?? null };
}

function telegramAccount(bound: z.infer<typeof bindings>): TelegramAccount | null {
  const { TELEGRAM_BOT_TOKEN, TELEGRAM_API_BASE } = bound;
  return TELEGRAM_BOT_TOKEN === undefined ? null : { token: TELEGRAM_BOT_TOKEN, api_base: TELEGRAM_API_BASE ?? null };
}
