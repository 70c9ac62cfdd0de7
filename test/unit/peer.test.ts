import { describe, expect, test as plain } from "vitest";
import { askPeer, demandOk, Refused, retryAfter, Unavailable } from "../../src/outside/peer.ts";
import { startPeer } from "../world/peer.ts";
import type { Behaviour } from "../world/peer.ts";

// oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
const test = plain.extend("peer", async ({}, { onCleanup }) => {
  let done = 0;
  const peer = await startPeer({ handle: () => ({ status: 200, body: { done: (done += 1) } }) });
  onCleanup(() => peer.stop());
  return { ...peer, done: () => done };
});

const failureOf = (asked: Promise<unknown>) =>
  asked.then(
    () => null,
    (error: unknown) => error,
  );

describe("a peer that is asked", () => {
  test("answers, and its answer is read whole", async ({ peer }) => {
    const answer = await askPeer(peer.url, { method: "POST", body: "x" });
    expect(answer).toMatchObject({ status: 200, text: '{"done":1}' });
    expect(() => demandOk(answer)).not.toThrow();
  });

  test.for<[Behaviour, string, boolean]>([
    ["huge", "the answer has more than 65536 bytes", true],
    ["cut", "the connection failed", true],
    ["slow", "no whole answer within 5 s", true],
    ["silent", "no whole answer within 5 s", false],
  ])("that is %s is unavailable, whether it did it or not", async ([behaviour, message, does], { peer }) => {
    peer.behave(behaviour);
    const failure = await failureOf(
      askPeer(peer.url, {}, behaviour === "slow" || behaviour === "silent" ? { timeout_ms: 5_000 } : {}),
    );
    expect(failure).toBeInstanceOf(Unavailable);
    expect(failure).toMatchObject({ message, retry_after: null });
    expect(peer.done()).toBe(does ? 1 : 0);
  });

  test("is not followed elsewhere", async ({ peer }) => {
    peer.behave("redirect");
    const answer = await askPeer(peer.url, {});
    expect(answer.status).toBe(302);
    expect(() => demandOk(answer)).toThrow(Unavailable);
  });

  test("that nobody reaches is unavailable", async () => {
    const gone = await startPeer({ handle: () => ({ status: 200 }) });
    await gone.stop();
    expect(await failureOf(askPeer(gone.url, {}))).toBeInstanceOf(Unavailable);
  });
});

describe("a status", () => {
  const answered = (status: number, headers: Record<string, string> = {}) => ({
    status,
    headers: new Headers(headers),
    text: "",
  });

  test.for([300, 302, 401, 403, 408, 425, 429, 500, 502, 503, 504, 599])("%i may pass", (status) => {
    expect(() => demandOk(answered(status))).toThrow(Unavailable);
  });

  test.for([400, 404, 405, 409, 410, 413, 422, 451])("%i will not", (status) => {
    expect(() => demandOk(answered(status))).toThrow(Refused);
  });

  test("says when to come again", async () => {
    const failure = await failureOf((async () => demandOk(answered(429, { "Retry-After": "17" })))());
    expect(failure).toMatchObject({ retry_after: 17 });
  });

  test.for<[string | null, number | null]>([
    [null, null],
    ["", null],
    ["soon", null],
    ["-5", null],
    ["1.5", null],
    ["0", 0],
    [" 30 ", 30],
    ["999999999", 86_400],
    [new Date(0).toUTCString(), 0],
    ["Fri, 31 Dec 9999 23:59:59 GMT", 86_400],
  ])("Retry-After: %s is %s seconds", ([text, seconds]) => {
    expect(retryAfter(text)).toBe(seconds);
  });
});
