import { expect, test } from "vitest";
import { fingerprintText, presentedIdempotencyKey } from "../../src/http/idempotency.ts";
import { Problem } from "../../src/http/problem.ts";

function codeOf(key: string | null, required = true): unknown {
  try {
    // A Headers object trims and refuses by itself; what reaches the Worker another way is to be refused too.
    return presentedIdempotencyKey(headersWith(key), required);
  } catch (error) {
    if (error instanceof Problem) return { code: error.code, ...error.members };
    throw error;
  }
}

function headersWith(key: string | null) {
  return { get: (name: string) => (name === "Idempotency-Key" ? key : null) };
}

test.each(["a", "order-4711", "x".repeat(255), "with spaces and ~!{}", "tg", "TG-1", "t g:"])("takes %s", (key) => {
  expect(codeOf(key)).toBe(key);
});

test.each([
  ["empty", ""],
  ["256 characters", "x".repeat(256)],
  ["CR", "a\rb"],
  ["LF", "a\nb"],
  ["NUL", "a\0b"],
  ["tab", "a\tb"],
  ["DEL", "a\u007f"],
  ["latin-1", "café"],
  ["emoji", "🔑"],
  ["the system's own", "tg:request:1"],
  ["the system's own in capitals", "TG:request:1"],
])("refuses %s and names the header", (_, key) => {
  expect(codeOf(key)).toMatchObject({
    code: "idempotency_key_invalid",
    errors: [{ in: "header", name: "Idempotency-Key" }],
  });
});

test("none is refused where one is needed, and null where it is not", () => {
  expect(codeOf(null)).toMatchObject({
    code: "idempotency_key_required",
    errors: [{ in: "header", name: "Idempotency-Key", code: "required" }],
  });
  expect(codeOf(null, false)).toBeNull();
});

test("a request is its method, path and body; not the order of its members", () => {
  const spend = fingerprintText("POST", "/v1/x", { amount: 1, reason: "a" });
  expect(fingerprintText("POST", "/v1/x", { reason: "a", amount: 1 })).toBe(spend);
  const others = [
    fingerprintText("PUT", "/v1/x", { amount: 1, reason: "a" }),
    fingerprintText("POST", "/v1/y", { amount: 1, reason: "a" }),
    fingerprintText("POST", "/v1/x", { amount: 2, reason: "a" }),
    fingerprintText("POST", "/v1/x", { amount: "1", reason: "a" }),
    fingerprintText("POST", "/v1/x", { amount: 1 }),
    fingerprintText("POST", "/v1/x", { amount: 1, reason: null }),
  ];
  expect(new Set([spend, ...others]).size).toBe(others.length + 1);
});
