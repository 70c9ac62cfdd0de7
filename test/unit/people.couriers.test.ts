import { describe, expect, test as plain } from "vitest";
import type { MailAccount, TelegramAccount } from "../../src/env.ts";
import { emailCourier } from "../../src/messages/people.ts";
import { sendMail } from "../../src/outside/mail.ts";
import { Later, Refused, Unavailable, Unreachable } from "../../src/outside/peer.ts";
import { sendText } from "../../src/outside/telegram.ts";
import { startMail } from "../world/mail.ts";
import { type Behaviour, startPeer } from "../world/peer.ts";
import { startTelegram } from "../world/telegram.ts";

// What comes of each answer of Resend's and of the Bot API's, and of none.

/** Only what never answers is given up: whatever else is asked has come and been answered by then, on a busy machine too. */
const limitsOf = (mode: Behaviour) => (mode === "silent" || mode === "slow" ? { timeout_ms: 5_000 } : {});

const test = plain
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("mail", async ({}, { onCleanup }) => {
    const mail = await startMail();
    onCleanup(() => mail.stop());
    return mail;
  })
  // oxlint-disable-next-line no-empty-pattern -- as above
  .extend("telegram", async ({}, { onCleanup }) => {
    const telegram = await startTelegram();
    onCleanup(() => telegram.stop());
    return telegram;
  });

const mailAt = (bindings: Readonly<Record<string, string>>): MailAccount => ({
  api_key: bindings["MAIL_API_KEY"] ?? "",
  from: bindings["MAIL_FROM"] ?? "",
  api_base: bindings["MAIL_API_BASE"] ?? null,
});
const botAt = (bindings: Readonly<Record<string, string>>): TelegramAccount => ({
  token: bindings["TELEGRAM_BOT_TOKEN"] ?? "",
  api_base: bindings["TELEGRAM_API_BASE"] ?? null,
});

const letter = { id: "one", to: "ada@example.com", subject: "Hello", text: "How do you do" };

/** How a call ended: nothing said, or which error, with what it says to whoever waits. */
async function outcome(called: Promise<unknown>): Promise<unknown> {
  try {
    await called;
    return "sent";
  } catch (error) {
    if (error instanceof Unreachable) return ["unreachable", error.reason];
    if (error instanceof Refused) return "refused";
    if (error instanceof Later) return ["later", error.retry_after];
    if (error instanceof Unavailable) return ["unavailable", error.retry_after];
    throw error;
  }
}

const modes: [Behaviour, number | null, number][] = [
  ["error", null, 0],
  ["throttled", 30, 0],
  ["redirect", null, 0],
  ["silent", null, 0],
  ["garbage", null, 1],
  ["huge", null, 1],
  ["cut", null, 1],
  ["slow", null, 1],
];

describe("Resend", () => {
  test("is asked less than twice a second; the local stack's is asked as quickly as it goes", ({ mail }) => {
    const account = mailAt(mail.bindings);
    expect(emailCourier.pace_ms?.({ mail: { ...account, api_base: null }, way_out: null })).toBeGreaterThan(500);
    expect(emailCourier.pace_ms?.({ mail: account, way_out: null })).toBeNull();
  });

  test("takes a mail with its name, its sender and its words, as plain text", async ({ mail }) => {
    await sendMail(mailAt(mail.bindings), letter);
    expect(mail.mails).toEqual([
      { key: "one", from: "Acme <hello@acme.example>", to: "ada@example.com", subject: "Hello", text: "How do you do" },
    ]);
  });

  test.for(modes)("%s: it may pass, and one that was sent is not sent twice", async ([mode, rest, did], { mail }) => {
    const account = mailAt(mail.bindings);
    mail.behave(mode, 1);
    expect(await outcome(sendMail(account, letter, limitsOf(mode)))).toEqual(["unavailable", rest]);
    expect(mail.mails).toHaveLength(did);
    expect(await outcome(sendMail(account, letter))).toBe("sent");
    expect(mail.mails).toHaveLength(1);
    expect(mail.requests.map(({ headers }) => headers["idempotency-key"])).toEqual(["one", "one"]);
  });

  test("D8 a mail whose words changed after it was sent, unknown to us, was sent", async ({ mail }) => {
    const account = mailAt(mail.bindings);
    mail.behave("cut", 1);
    await outcome(sendMail(account, letter));
    expect(await outcome(sendMail(account, { ...letter, text: "another" }))).toBe("sent");
    expect(mail.mails.map(({ text }) => text)).toEqual(["How do you do"]);
  });

  test("an address that it takes nothing for is told from a mail that it does not take", async ({ mail }) => {
    mail.refused.add("ada@example.com");
    expect(await outcome(sendMail(mailAt(mail.bindings), letter))).toEqual(["unreachable", "no address for mail"]);
    const empty = { ...letter, to: "bob@example.com", subject: "" };
    expect(await outcome(sendMail(mailAt(mail.bindings), empty))).toBe("refused");
  });

  test.for<[number, string | null, unknown, Record<string, string>?]>([
    [400, "validation_error", "refused"],
    [422, "validation_error", "refused"],
    [422, "missing_required_field", "refused"],
    [451, "security_error", "refused"],
    [404, "not_found", "refused"],
    [401, "missing_api_key", ["unavailable", null]],
    [401, "restricted_api_key", ["unavailable", null]],
    [403, "invalid_api_key", ["unavailable", null]],
    [403, "validation_error", ["unavailable", null]],
    [422, "invalid_from_address", ["unavailable", null]],
    [409, "concurrent_idempotent_requests", ["unavailable", null]],
    [409, "invalid_idempotent_request", "sent"],
    [429, "rate_limit_exceeded", ["unavailable", 1], { "Retry-After": "1" }],
    [429, "daily_quota_exceeded", ["unavailable", 3600]],
    [429, "monthly_quota_exceeded", ["unavailable", 60], { "Retry-After": "60" }],
    [500, "application_error", ["unavailable", null]],
    [503, null, ["unavailable", 7], { "Retry-After": "7" }],
    [200, null, ["unavailable", null]],
    [302, null, ["unavailable", null]],
  ])("%i %s", async ([status, name, expected, headers = {}], { onTestFinished }) => {
    const body = name === null ? { id: 5 } : { statusCode: status, name, message: "to ada@example.com: secret words" };
    const peer = await startPeer({ handle: () => ({ status, headers, body }) });
    onTestFinished(() => peer.stop());
    const account = { api_key: "re_secret", from: "a@b.example", api_base: peer.url };
    const called = sendMail(account, letter);
    const said = called.catch((error: unknown) => String(error));
    expect(await outcome(called)).toEqual(expected);
    expect(String(await said)).not.toMatch(/secret|ada@|How do/);
  });
});

describe("the Bot API", () => {
  test("takes a text as it stands", async ({ telegram }) => {
    await sendText(botAt(telegram.bindings), "-1001234567890123", "*plain* <b>");
    expect(telegram.texts).toEqual([{ chat: -1001234567890123, text: "*plain* <b>" }]);
    expect(JSON.parse(telegram.requests[0]?.text ?? "")).not.toHaveProperty("parse_mode");
  });

  test.for(modes)("%s: it may pass; what was unknown is there twice", async ([mode, rest, did], { telegram }) => {
    const account = botAt(telegram.bindings);
    telegram.behave(mode, 1);
    expect(await outcome(sendText(account, "1", "x", limitsOf(mode)))).toEqual(["unavailable", rest]);
    expect(telegram.texts).toHaveLength(did);
    expect(await outcome(sendText(account, "1", "x"))).toBe("sent");
    expect(telegram.texts).toHaveLength(did + 1);
  });

  test("says in its answer for how long it is to be left alone", async ({ telegram }) => {
    telegram.floods(34);
    expect(await outcome(sendText(botAt(telegram.bindings), "1", "x"))).toEqual(["unavailable", 34]);
  });

  test("a group that has enough for now is one chat's affair, and not the bot's", async ({ telegram }) => {
    telegram.floods(34);
    expect(await outcome(sendText(botAt(telegram.bindings), "-1001234567890123", "x"))).toEqual(["later", 34]);
  });

  test("a chat that takes nothing is told from a text that is not taken, and from a token that is none", async ({
    telegram,
  }) => {
    const account = botAt(telegram.bindings);
    telegram.blocked.add(1);
    telegram.unknown.add(2);
    expect(await outcome(sendText(account, "1", "x"))).toEqual(["unreachable", "blocked by the user"]);
    expect(await outcome(sendText(account, "2", "x"))).toEqual(["unreachable", "chat not found"]);
    expect(await outcome(sendText(account, "3", "x".repeat(4097)))).toBe("refused");
    expect(await outcome(sendText({ ...account, token: "1:no" }, "3", "x"))).toEqual(["unavailable", null]);
  });

  test.for<[number, string, unknown]>([
    [403, "Forbidden: user is deactivated", ["unreachable", "deactivated"]],
    [403, "Forbidden: bot can't initiate conversation with a user", ["unreachable", "can't initiate"]],
    [403, "Forbidden: bot was kicked from the group chat", ["unreachable", "kicked"]],
    [403, "Forbidden: something new", ["unreachable", "forbidden"]],
    [403, "Forbidden: the group chat was deleted", ["unreachable", "forbidden"]],
    [400, "Bad Request: group chat was upgraded to a supergroup chat", ["unreachable", "upgraded to a supergroup"]],
    [400, "Bad Request: message text is empty", "refused"],
    [401, "Unauthorized", ["unavailable", null]],
    [500, "Internal Server Error", ["unavailable", null]],
  ])("%i %s", async ([status, description, expected], { onTestFinished }) => {
    const peer = await startPeer({
      handle: () => ({ status, body: { ok: false, error_code: status, description } }),
    });
    onTestFinished(() => peer.stop());
    const called = sendText({ token: "4711:secret", api_base: peer.url }, "1", "x");
    const said = called.catch((error: unknown) => String(error));
    expect(await outcome(called)).toEqual(expected);
    expect(await said).not.toMatch(/secret/);
  });
});
