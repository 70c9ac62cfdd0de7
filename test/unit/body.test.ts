import { expect, test } from "vitest";
import { bodyLimit, readBody } from "../../src/http/body.ts";
import { Problem } from "../../src/http/problem.ts";

const json = { "Content-Type": "application/json" };

function post(body: ConstructorParameters<typeof Response>[0], headers: Record<string, string> = json): Request {
  return new Request("http://tollgate/", { method: "POST", body: body ?? null, headers, duplex: "half" });
}

async function refusal(request: Request): Promise<{ code: string; errors?: unknown }> {
  const answer: unknown = await readBody(request).catch((error: unknown) => error);
  if (!(answer instanceof Problem)) throw new Error(`not refused: ${JSON.stringify(answer)}`);
  return { code: answer.code, ...answer.members };
}

/** A body that is sent piece by piece and never says its length. */
function stream(pieces: Iterable<Uint8Array>): ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces);
}

test("reads JSON, however it is cut into pieces", async () => {
  const bytes = new TextEncoder().encode('{"name":"Zoë 😀"}');
  expect(await readBody(post(bytes))).toEqual({ name: "Zoë 😀" });
  expect(await readBody(post(stream(Array.from(bytes, (byte) => Uint8Array.of(byte)))))).toEqual({ name: "Zoë 😀" });
  expect(await readBody(post('{"a":1}', { "Content-Type": "Application/JSON; charset=UTF-8" }))).toEqual({ a: 1 });
});

test("no body and an empty body are {}, whatever their type", async () => {
  expect(await readBody(post(null, {}))).toEqual({});
  expect(await readBody(post("", {}))).toEqual({});
  expect(await readBody(post(stream([])))).toEqual({});
});

/** A JSON string of so many bytes. */
const whole = (size: number) => `"${"x".repeat(size - 2)}"`;

test("1 MB is taken, and one byte more is refused, by counting", async () => {
  expect(await readBody(post(whole(bodyLimit)))).toHaveLength(bodyLimit - 2);
  expect(await refusal(post(whole(bodyLimit + 1)))).toEqual({ code: "body_too_large" });
});

test("a Content-Length that lies is not believed", async () => {
  let sent = 0;
  function* endless(): Iterable<Uint8Array> {
    for (;;) {
      sent += 100_000;
      yield new Uint8Array(100_000);
    }
  }
  for (const length of ["5", "NaN", "-1", ""]) {
    sent = 0;
    const request = post(stream(endless()), { ...json, "Content-Length": length });
    expect(await refusal(request)).toEqual({ code: "body_too_large" });
    expect(sent).toBeLessThan(2 * bodyLimit);
  }
  expect(await refusal(post("{}", { ...json, "Content-Length": "1000001" }))).toEqual({ code: "body_too_large" });
});

test.each([
  ["no type", {}],
  ["text", { "Content-Type": "text/plain" }],
  ["a form", { "Content-Type": "application/x-www-form-urlencoded" }],
  ["almost JSON", { "Content-Type": "application/jsonx" }],
  ["two types", { "Content-Type": "application/json, text/plain" }],
  ["another charset", { "Content-Type": "application/json; charset=utf-16" }],
])("%s is refused as a type, and the header named", async (_, headers) => {
  const body = new TextEncoder().encode("{}");
  expect(await refusal(post(body, headers))).toMatchObject({
    code: "unsupported_media_type",
    errors: [{ in: "header", name: "Content-Type" }],
  });
});

test("an encoded body is refused, and the header named", async () => {
  expect(await refusal(post("{}", { ...json, "Content-Encoding": "gzip" }))).toMatchObject({
    code: "unsupported_media_type",
    errors: [{ in: "header", name: "Content-Encoding" }],
  });
});

test.each([
  ["bytes that are not UTF-8", Uint8Array.of(0x22, 0xff, 0x22)],
  ["a surrogate in UTF-8", Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)],
  ["a byte order mark", Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d)],
  ["text that is cut off", '{"amount":'],
])("%s is malformed", async (_, body) => {
  expect(await refusal(post(body))).toMatchObject({ code: "malformed_json", errors: [{ in: "body" }] });
});

test("a body that breaks off on its way is the client's fault, not ours", async () => {
  let sent = false;
  const broken = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent) controller.error(new Error("Network connection lost."));
      else controller.enqueue(new TextEncoder().encode('{"amount":'));
      sent = true;
    },
  });
  expect(await refusal(post(broken))).toMatchObject({
    code: "malformed_json",
    errors: [{ in: "body", detail: "the body did not arrive whole" }],
  });
});

test("JSON that would change its meaning names the member", async () => {
  expect(await refusal(post('{"amount":9007199254740993}'))).toMatchObject({
    code: "validation_failed",
    errors: [{ in: "body", pointer: "/amount", code: "number_out_of_range" }],
  });
});
