import { expect, test } from "vitest";
import { makeKey, presentedKey, sha256 } from "../../src/http/credential.ts";

const key = `tg_${"A-z_9".repeat(8)}abc`;

test("the key of a Bearer header, the scheme in any case", () => {
  expect(presentedKey(new Headers({ Authorization: `Bearer ${key}` }))).toBe(key);
  expect(presentedKey(new Headers({ Authorization: `bearer ${key}` }))).toBe(key);
});

test.each([
  ["nothing", undefined],
  ["empty", ""],
  ["no key", "Bearer"],
  ["Basic", `Basic ${btoa("user:password")}`],
  ["another prefix", `Bearer sk_${"a".repeat(43)}`],
  ["too short", `Bearer ${key.slice(1)}`],
  ["too long", `Bearer ${key}a`],
  ["a character that base64url lacks", `Bearer ${key.slice(0, -1)}+`],
  ["two", `Bearer ${key}, Bearer ${key}`],
  ["two spaces", `Bearer  ${key}`],
])("401 for %s", (_, header) => {
  const headers = new Headers(header === undefined ? {} : { Authorization: header });
  expect(() => presentedKey(headers)).toThrow("unauthenticated");
});

test("a new key has the form that is taken, 256 bits, and only its hash and prefix beside it", async () => {
  const made = await makeKey();
  expect(made.key).toMatch(/^tg_[A-Za-z0-9_-]{43}$/);
  expect(presentedKey(new Headers({ Authorization: `Bearer ${made.key}` }))).toBe(made.key);
  expect(made.prefix).toBe(made.key.slice(0, 10));
  expect(made.hash).toBe(await sha256(made.key));
  expect(new Set(await Promise.all(Array.from({ length: 100 }, async () => (await makeKey()).key))).size).toBe(100);
});

test("sha256 in hex", async () => {
  expect(await sha256("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
