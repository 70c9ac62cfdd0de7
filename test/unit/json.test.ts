import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, JsonFault, limits, parseJson } from "../../src/http/json.ts";

function faultOf(text: string): { code: string; pointer: string } {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof JsonFault) return { code: error.code, pointer: error.pointer };
    throw error;
  }
  throw new Error(`accepted: ${text.slice(0, 80)}`);
}

/** JSON values that mean the same everywhere: what parseJson takes. */
const plain = fc.jsonValue({ maxDepth: 6 }).filter((value) => {
  const text = JSON.stringify(value);
  return !/\\u0000|"__proto__"|[eE][+-]?\d|-0(?![.\d])/.test(text) && text.isWellFormed();
});

describe("what JSON.parse takes and means the same everywhere", () => {
  test("is parsed as JSON.parse parses it, whatever the spaces", () => {
    fc.assert(
      fc.property(plain, fc.constantFrom(undefined, 1, "\t", "\r\n "), (value, space) => {
        const text = JSON.stringify(value, null, space);
        fc.pre(![...text.matchAll(/-?\d+(?:\.\d+)?/g)].some(([token]) => Math.abs(Number(token)) > 2 ** 53 - 1));
        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test("a text that JSON.parse refuses is refused", () => {
    const noise = fc.tuple(
      plain,
      fc.nat(),
      fc.constantFrom("", ",", "]", "}", '"', "\\", "0", "-", ".", "e", "\u0001", "nul"),
    );
    fc.assert(
      fc.property(noise, ([value, at, insert]) => {
        const text = JSON.stringify(value);
        const cut = at % (text.length + 1);
        const broken = text.slice(0, cut) + insert + text.slice(cut + (insert === "" ? 1 : 0));
        let ours: unknown = "refused";
        let theirs: unknown = "refused";
        try {
          theirs = { parsed: JSON.parse(broken) };
        } catch {
          // refused
        }
        try {
          ours = { parsed: parseJson(broken) };
        } catch (error) {
          if (!(error instanceof JsonFault)) throw error;
          if (error.code !== "malformed") return; // refused for what it means, which JSON.parse never does
        }
        expect(ours).toEqual(theirs);
      }),
      { numRuns: 2000 },
    );
  });

  test.each(['"\\n\\u00e9\\ud83d\\ude00\\\\"', "[]", "{}", "[[],{}]", " null ", "1.50", "-3", "7.0", "1e-7", '{"":1}'])(
    "takes %s",
    (text) => expect(parseJson(text)).toEqual(JSON.parse(text)),
  );
});

describe("what would change its meaning on the way is refused, and its place named", () => {
  test.each([
    ["9007199254740993", "number_out_of_range", ""],
    ['{"amount":9007199254740992}', "number_out_of_range", "/amount"],
    ['{"amount":1e400}', "number_out_of_range", "/amount"],
    ['{"amount":-1e400}', "number_out_of_range", "/amount"],
    ['{"amount":-0}', "number_not_plain", "/amount"],
    ['{"amount":-0.0}', "number_not_plain", "/amount"],
    ['{"amount":-1e-400}', "number_not_plain", "/amount"],
    ['{"amount":1e2}', "number_not_plain", "/amount"],
    ['{"amount":1.00000000000000000001}', "number_not_plain", "/amount"],
    ['{"items":[{"key":"a"},{"key":"\\u0000"}]}', "nul_character", "/items/1/key"],
    ['{"name":"\\ud800"}', "lone_surrogate", "/name"],
    ['{"name":"\\udc00\\ud800"}', "lone_surrogate", "/name"],
    ['{"a/b~c":"\\u0000"}', "nul_character", "/a~1b~0c"],
    ['{"x":{"\\u0000":1}}', "nul_character", "/x"],
    ['{"items":[1,{"a":0x10}]}', "malformed", "/items/1/a"],
    ['{"items":[1,0x10]}', "malformed", "/items/1"],
    ['{"items":[1,2', "malformed", "/items/1"],
    ['{"\\ud800":1}', "lone_surrogate", ""],
    ['{"amount":1,"amount":2}', "member_repeated", ""],
    ['{"amount":1,"\\u0061mount":2}', "member_repeated", ""],
    ['{"x":{"__proto__":{"amount":1}}}', "member_not_allowed", "/x"],
    ['{"\\u005f_proto__":1}', "member_not_allowed", ""],
  ])("%s", (text, code, pointer) => expect(faultOf(text)).toEqual({ code, pointer }));

  test("a member named like one of Object's is a member", () => {
    expect(parseJson('{"toString":1,"constructor":2}')).toEqual({ toString: 1, constructor: 2 });
  });
});

const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

describe("size of the structure", () => {
  test("the deepest that is allowed, and one deeper", () => {
    expect(parseJson(nested(limits.depth))).toEqual(JSON.parse(nested(limits.depth)));
    expect(faultOf(nested(limits.depth + 1)).code).toBe("too_deep");
  });

  test.each([
    ["arrays", "[", "]"],
    ["objects", '{"a":', "}"],
    ["never closed", "[", ""],
  ])("a depth of 100,000 does not overflow: %s", (_, open, close) => {
    expect(faultOf(open.repeat(100_000) + close.repeat(100_000)).code).toBe("too_deep");
  });

  test("members are counted over the whole text", () => {
    const objects = Array.from({ length: limits.members + 1 }, () => '{"a":1}');
    expect(faultOf(`[${objects.join(",")}]`).code).toBe("too_many_members");
    expect(parseJson(`[${objects.slice(1).join(",")}]`)).toHaveLength(limits.members);
  });

  test("long strings, numbers and runs of escapes take time in proportion", () => {
    expect(parseJson(`"${"x".repeat(1_000_000)}"`)).toHaveLength(1_000_000);
    expect(parseJson(`"${"\\\\".repeat(400_000)}"`)).toHaveLength(400_000);
    expect(parseJson(`"${'\\"'.repeat(400_000)}"`)).toHaveLength(400_000);
    expect(faultOf("9".repeat(1_000_000)).code).toBe("number_out_of_range");
    expect(faultOf("\\".repeat(1_000_000)).code).toBe("malformed");
    expect(faultOf(`{"${"k".repeat(900_000)}":"\\u0000"}`).pointer).toHaveLength(65);
  });
});

test("canonical text: members in order, equal values equal texts", () => {
  expect(canonicalJson({ b: [1, { d: null, c: "\u2028" }], a: true })).toBe(
    '{"a":true,"b":[1,{"c":"\u2028","d":null}]}',
  );
  const shuffled = fc.dictionary(
    fc.string({ minLength: 1 }).filter((key) => key !== "__proto__"),
    fc.jsonValue({ maxDepth: 2 }),
  );
  fc.assert(
    fc.property(shuffled, (value) => {
      const turned = Object.fromEntries(Object.entries(value).toReversed());
      expect(canonicalJson(turned)).toBe(canonicalJson(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});
