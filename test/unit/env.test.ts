import { expect, test } from "vitest";
import { settings } from "../../src/env.ts";
import { Problem } from "../../src/http/problem.ts";

const DATABASE_URL = "postgresql://tollgate_worker:secret@ep-cool.eu-central-1.aws.neon.tech/tollgate?sslmode=require";

test("the bindings, parsed once for each env", () => {
  const env = { DATABASE_URL };
  expect(settings(env)).toEqual({
    database: { url: DATABASE_URL, fetch_endpoint: null },
    stripe: null,
    btcpay: null,
    webhook_key: null,
    local: false,
    mail: null,
    telegram: null,
    checkout_origins: [],
    public_url: null,
    provisioner: null,
    assets: null,
  });
  expect(settings(env)).toBe(settings(env));
});

test.each(["http://127.0.0.1:4444/sql", "http://localhost:4444/sql", "http://[::1]:4444/sql"])(
  "a fetch endpoint on this machine: %s",
  (endpoint) => {
    const env = { DATABASE_URL, DATABASE_FETCH_ENDPOINT: endpoint };
    expect(settings(env).database.fetch_endpoint).toBe(endpoint);
  },
);

test.each([
  "https://evil.example/sql",
  "http://127.0.0.1.evil.example/sql",
  "http://localhost.evil.example/sql",
  "http://127.0.0.1@evil.example/sql",
  "http://user@127.0.0.1/sql",
  "http://10.0.0.1/sql",
  "http://0.0.0.0/sql",
  "https://127.0.0.1/sql",
  "ftp://127.0.0.1/sql",
  "127.0.0.1:4444",
  "",
])("any other fetch endpoint is refused, for it would be told the password: %s", (endpoint) => {
  const env = { DATABASE_URL, DATABASE_FETCH_ENDPOINT: endpoint };
  expect(() => settings(env)).toThrow(new Problem("misconfigured"));
});

const STRIPE_SECRET_KEY = "sk_test_51secret";

test("Stripe's bindings: the key's mode, and the secrets that are valid", () => {
  expect(settings({ DATABASE_URL, STRIPE_SECRET_KEY }).stripe).toEqual({
    secret_key: STRIPE_SECRET_KEY,
    live: false,
    webhook_secrets: [],
    api_base: null,
  });
  const rolling = { STRIPE_WEBHOOK_SECRET: "whsec_new", STRIPE_WEBHOOK_SECRET_OLD: "whsec_old" };
  const bound = { DATABASE_URL, STRIPE_SECRET_KEY: "rk_live_1", ...rolling, STRIPE_API_BASE: "http://127.0.0.1:12111" };
  expect(settings(bound).stripe).toEqual({
    secret_key: "rk_live_1",
    live: true,
    webhook_secrets: ["whsec_new", "whsec_old"],
    api_base: "http://127.0.0.1:12111",
  });
});

test("without a key there is no Stripe, and that is no fault; an empty binding is none", () => {
  const empty = { STRIPE_SECRET_KEY: "", STRIPE_WEBHOOK_SECRET: "", STRIPE_API_BASE: "", CHECKOUT_ORIGINS: "" };
  expect(settings({ DATABASE_URL, ...empty })).toMatchObject({ stripe: null, checkout_origins: [] });
  expect(settings({ DATABASE_URL, STRIPE_WEBHOOK_SECRET: "whsec_1" }).stripe).toBeNull();
});

test("those who send to people: mail, and a bot; empty bindings are none", () => {
  const mail = { MAIL_API_KEY: "re_abc_1", MAIL_FROM: "Acme <hello@acme.example>" };
  const bot = { TELEGRAM_BOT_TOKEN: `4711:${"x".repeat(35)}` };
  expect(settings({ DATABASE_URL, ...mail, ...bot })).toMatchObject({
    mail: { api_key: "re_abc_1", from: "Acme <hello@acme.example>", api_base: null },
    telegram: { token: bot.TELEGRAM_BOT_TOKEN, api_base: null },
  });
  const local = { MAIL_API_BASE: "http://127.0.0.1:1", TELEGRAM_API_BASE: "http://localhost:2" };
  expect(settings({ DATABASE_URL, ...mail, ...bot, ...local })).toMatchObject({
    mail: { api_base: "http://127.0.0.1:1" },
    telegram: { api_base: "http://localhost:2" },
  });
  const empty = { MAIL_API_KEY: "", MAIL_FROM: "", MAIL_API_BASE: "", TELEGRAM_BOT_TOKEN: "", TELEGRAM_API_BASE: "" };
  expect(settings({ DATABASE_URL, ...empty })).toMatchObject({ mail: null, telegram: null });
});

test("origins that a checkout may lead to", () => {
  const env = { DATABASE_URL, CHECKOUT_ORIGINS: "https://app.example, https://a.example:8443/,http://127.0.0.1:3000" };
  const origins = ["https://app.example", "https://a.example:8443", "http://127.0.0.1:3000"];
  expect(settings(env).checkout_origins).toEqual(origins);
});

test("where a deployment is: https, and this machine on the local stack alone", () => {
  const at = (PUBLIC_URL: string, more: object = {}) => settings({ DATABASE_URL, ...more, PUBLIC_URL }).public_url;
  expect(at("https://tollgate.example/")).toBe("https://tollgate.example");
  expect(at("")).toBeNull();
  const local = { DATABASE_FETCH_ENDPOINT: "http://127.0.0.1:4444/sql" };
  expect(at("http://127.0.0.1:8787", local)).toBe("http://127.0.0.1:8787");
});

test("what webhook secrets are made from: 32 bytes or more, in base64", () => {
  const bytes = new Uint8Array(32).fill(7);
  const WEBHOOK_SIGNING_KEY = btoa(String.fromCharCode(...bytes));
  expect(settings({ DATABASE_URL, WEBHOOK_SIGNING_KEY }).webhook_key).toEqual(bytes);
  expect(settings({ DATABASE_URL, WEBHOOK_SIGNING_KEY: "" }).webhook_key).toBeNull();
});

test("what leaves the house may go to this machine on the local stack and nowhere else", () => {
  expect(settings({ DATABASE_URL, DATABASE_FETCH_ENDPOINT: "http://127.0.0.1:4444/sql" }).local).toBe(true);
  expect(settings({ DATABASE_URL, STRIPE_SECRET_KEY, STRIPE_API_BASE: "http://127.0.0.1:1" }).local).toBe(false);
});

test.each([
  { STRIPE_SECRET_KEY: "pk_test_secret" },
  { WEBHOOK_SIGNING_KEY: "_secret.too short" },
  { WEBHOOK_SIGNING_KEY: btoa("a_secret. of 31 bytes, one less") },
  { STRIPE_SECRET_KEY: "sk_test_secret\n" },
  { STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET: "secret" },
  { STRIPE_SECRET_KEY, STRIPE_API_BASE: "https://secret.example" },
  { STRIPE_SECRET_KEY, STRIPE_API_BASE: "http://127.0.0.1.secret.example" },
  { CHECKOUT_ORIGINS: "http://secret.example" },
  { CHECKOUT_ORIGINS: "https://app.example/secret" },
  { CHECKOUT_ORIGINS: "https://user:secret@app.example" },
  { CHECKOUT_ORIGINS: "https://app.example,,secret" },
  { CHECKOUT_ORIGINS: "*" },
  { PUBLIC_URL: "http://secret.example" },
  { PUBLIC_URL: "http://127.0.0.1:8787" },
  { PUBLIC_URL: "https://tollgate.example/_secret" },
  { PUBLIC_URL: "https://user:_secret@tollgate.example" },
  { PUBLIC_URL: "tollgate.secret.example" },
  { MAIL_API_KEY: "secret." },
  { MAIL_API_KEY: "re_secret", MAIL_FROM: "nobody at all" },
  { MAIL_API_KEY: "re_secret", MAIL_FROM: "Acme <hello@secret.example>\nBcc: x@secret.example" },
  { MAIL_API_KEY: "re_secret", MAIL_FROM: "" },
  { MAIL_FROM: "a@b", MAIL_API_BASE: "https://secret.example" },
  { TELEGRAM_BOT_TOKEN: "_secret" },
  { TELEGRAM_API_BASE: "http://10.0.0.1/secret." },
])("a binding that is not what it should be is refused by its name: %j", (bound) => {
  let problem: unknown;
  try {
    settings({ DATABASE_URL, ...bound });
  } catch (error) {
    problem = error;
  }
  expect(problem).toMatchObject({ code: "misconfigured" });
  const cause = problem instanceof Error && problem.cause instanceof Error ? problem.cause.message : "";
  expect(cause).toContain(Object.keys(bound).at(-1));
  expect(cause).not.toContain("secret.");
  expect(cause).not.toContain("_secret");
});

test("a refusal names the binding and never its value", () => {
  for (const url of [undefined, "", "secret", "mysql://u:secret@h/d", "postgres://host/secret"]) {
    let problem: unknown;
    try {
      settings({ DATABASE_URL: url });
    } catch (error) {
      problem = error;
    }
    expect(problem).toMatchObject({ code: "misconfigured" });
    const cause = problem instanceof Error && problem.cause instanceof Error ? problem.cause.message : "";
    expect(cause).toContain("DATABASE_URL");
    expect(cause).not.toContain("secret");
  }
});

const stack = { DATABASE_URL, DATABASE_FETCH_ENDPOINT: "http://127.0.0.1:4444/sql" };
const PROVISIONER_SECRET = `whsec_${"c2VjcmV0".repeat(4)}`;
const own = { PROVISIONER_KIND: "http", PROVISIONER_URL: "https://vpn.example/tollgate/", PROVISIONER_SECRET };
const panel = {
  PROVISIONER_KIND: "marzban",
  PROVISIONER_URL: "https://panel.example:8000",
  PROVISIONER_USER: "tollgate",
  PROVISIONER_PASSWORD: "secret",
};

test("a provisioner of one's own, and a panel", () => {
  const url = "https://vpn.example/tollgate";
  expect(settings({ DATABASE_URL, ...own }).provisioner).toEqual({ kind: "http", url, secret: PROVISIONER_SECRET });
  expect(settings({ DATABASE_URL, ...panel }).provisioner).toEqual({
    kind: "marzban",
    url: "https://panel.example:8000",
    user: "tollgate",
    password: "secret",
    proxies: { vless: {} },
  });
  const PROVISIONER_PROXIES = '{"vless":{"flow":"xtls-rprx-vision","inbounds":["VLESS TCP"]},"trojan":{}}';
  expect(settings({ DATABASE_URL, ...panel, PROVISIONER_PROXIES }).provisioner).toMatchObject({
    proxies: { vless: { flow: "xtls-rprx-vision", inbounds: ["VLESS TCP"] }, trojan: {} },
  });
  expect(settings({ DATABASE_URL, ...own, PROVISIONER_KIND: "" }).provisioner).toBeNull();
  const PROVISIONER_URL = "http://127.0.0.1:9000";
  expect(settings({ ...stack, ...own, PROVISIONER_URL }).provisioner).toMatchObject({ url: PROVISIONER_URL });
});

test.each([
  ["PROVISIONER_KIND", { ...own, PROVISIONER_KIND: "secret" }],
  ["PROVISIONER_URL", { ...own, PROVISIONER_URL: "" }],
  ["PROVISIONER_URL", { ...own, PROVISIONER_URL: "http://vpn.secret.example" }],
  ["PROVISIONER_URL", { ...own, PROVISIONER_URL: "http://127.0.0.1:9000" }],
  ["PROVISIONER_URL", { ...own, PROVISIONER_URL: "https://user:secret@vpn.example" }],
  ["PROVISIONER_URL", { ...own, PROVISIONER_URL: "https://vpn.example/?secret=1" }],
  ["PROVISIONER_SECRET", { ...own, PROVISIONER_SECRET: "" }],
  ["PROVISIONER_SECRET", { ...own, PROVISIONER_SECRET: "whsec_secret" }],
  ["PROVISIONER_SECRET", { ...own, PROVISIONER_SECRET: PROVISIONER_SECRET.slice(6) }],
  ["PROVISIONER_USER", { ...panel, PROVISIONER_USER: "" }],
  ["PROVISIONER_PASSWORD", { ...panel, PROVISIONER_PASSWORD: "" }],
  ["PROVISIONER_PROXIES", { ...panel, PROVISIONER_PROXIES: "secret" }],
  ["PROVISIONER_PROXIES", { ...panel, PROVISIONER_PROXIES: "{}" }],
  ["PROVISIONER_PROXIES", { ...panel, PROVISIONER_PROXIES: '{"wireguard":{}}' }],
])("a wrong %s is refused by its name, and its value is not told", (name, bindings) => {
  try {
    settings({ DATABASE_URL, ...bindings });
    expect.unreachable();
  } catch (error) {
    expect(error).toEqual(new Problem("misconfigured"));
    const cause = error instanceof Problem && error.cause instanceof Error ? error.cause.message : "";
    expect(cause).toContain(name);
    expect(cause).not.toContain("secret");
  }
});
