import { describe, expect, test } from "vitest";
import { placesNotTwo, placesOf } from "../../src/currency.ts";
import { builtIn, builtInLanguages } from "../../src/messages/built-in.ts";
import { houseKinds, kindOf } from "../../src/messages/kinds.ts";
import { namesIn, namesOf, type Template, Unwritable, writeLetter } from "../../src/messages/letter.ts";
import { speakerOf, spokenIn } from "../../src/messages/speaking.ts";

const kinds = [...houseKinds()].map(([name]) => name);
const sampleOf = (kind: string) => kindOf(kind)?.sample ?? {};

const letter = (wish: Partial<Parameters<typeof writeLetter>[0]> = {}) =>
  writeLetter({
    channel: "email",
    kind: "reminder",
    data: sampleOf("reminder"),
    language: "en",
    template: null,
    ...wish,
  });

const text = (body: string, subject: string | null = "s"): Template => ({ language: "en", subject, body });

describe("what comes with the house", () => {
  test.each(kinds)("%s is said in English and German, on each channel, by names that it has", (kind) => {
    expect(builtInLanguages(kind)).toEqual(["de", "en"]);
    for (const language of ["en", "de", "de-AT", "fr"]) {
      for (const channel of ["email", "telegram"] as const) {
        const written = writeLetter({ channel, kind, data: sampleOf(kind), language, template: null });
        expect(written.subject).toMatch(/^\S.*\S$/);
        expect(written.text).toMatch(/^\S[^]*\.$/);
        expect(`${written.subject} ${written.text}`).not.toMatch(/[{}]|undefined|NaN|null|\[object/);
      }
      const ours = builtIn(kind, language);
      for (const name of namesIn(`${ours?.subject}${ours?.body}`)) expect(namesOf(kind)).toContain(name);
    }
  });

  test("is read by a person", () => {
    expect(letter()).toEqual({
      subject: "Your subscription renews on December 24, 2026",
      text: "Your subscription renews on December 24, 2026 (UTC): €19.00 will be taken from your balance.",
    });
    expect(letter({ language: "de-AT", data: { ...sampleOf("reminder"), renews: false } })).toEqual({
      subject: "Ihr Abonnement endet am 24. Dezember 2026",
      text: "Ihr Abonnement endet am 24. Dezember 2026 (UTC). Wenn Sie danach weitermachen möchten, verlängern Sie es vorher.",
    });
    const unpaid = { ...sampleOf("subscription_ended"), reason: "unpaid" };
    expect(letter({ kind: "subscription_ended", data: unpaid }).text).toBe(
      "Your subscription has ended: it was not paid.",
    );
  });
});

test("amounts have as many digits as their currency, days are UTC's, and both are written as the reader writes them", () => {
  const [en, de, at] = ["en", "de", "de-AT"].map(speakerOf);
  const plain = (written = "") => written.replaceAll(/\s/g, " ");
  expect(plain(en?.money({ amount_minor: 123_456, currency: "usd" }))).toBe("$1,234.56");
  expect(plain(de?.money({ amount_minor: 123_456, currency: "eur" }))).toBe("1.234,56 €");
  expect(plain(at?.money({ amount_minor: 1900, currency: "eur" }))).toBe("€ 19,00");
  expect(plain(en?.money({ amount_minor: 500, currency: "jpy" }))).toBe("¥500");
  expect(plain(en?.money({ amount_minor: 1234, currency: "kwd" }))).toBe("KWD 1.234");
  expect(plain(en?.money({ amount_minor: 50_000, currency: "isk" }))).toBe("ISK 500.00");
  expect(plain(en?.money({ amount_minor: 0, currency: "eur" }))).toBe("€0.00");
  expect(de?.date("2026-12-31T23:59:59.999999+00:00")).toBe("31. Dezember 2026");
  expect(en?.date("2027-01-01T00:30:00+01:00")).toBe("December 31, 2026");
  expect(spokenIn("de-AT", "de")).toBe("de-AT");
  expect(spokenIn("fr", "en")).toBe("en");
});

// CLDR shows fewer digits of these than Stripe counts.
const shownByOthersInWhole = "huf pkr cop idr all afn lbp rsd mmk lak sos std yer iqd irr krw twd ugx isk uzs".split(
  " ",
);

test.each([...new Set([...placesNotTwo.keys(), ...shownByOthersInWhole, "eur", "usd"])])(
  "an amount in %s is told in the units that it is paid in",
  (currency) => {
    for (const amount_minor of [123_456, 1900, 5]) {
      const told = speakerOf("en")
        .money({ amount_minor, currency })
        .replaceAll(/[^\d.]/g, "");
      const [whole = "", fraction = ""] = told.split(".");
      expect(fraction).toHaveLength(placesOf(currency));
      expect(Number(whole + fraction)).toBe(amount_minor);
    }
  },
);

describe("a text", () => {
  test("names what its kind has; nothing is escaped, for it is plain text, and nothing in a word is a mark", () => {
    const words = { a: "<b>&\"'{{b}}</b>", b: 1_234_567, c: true, d: false };
    const template = text(
      "{{a}} {{{a}}} {{&a}} {{b}} {{#c}}yes{{/c}}{{^c}}no{{/c}} {{#d}}yes{{/d}}{{! nothing }}",
      "{{a}}",
    );
    expect(letter({ kind: "broadcast.x", data: words, template })).toEqual({
      subject: words.a,
      text: `${words.a} ${words.a} ${words.a} 1,234,567 yes`,
    });
    expect(namesIn("{{a}}{{#b}}{{c}}{{/b}}{{^d}}{{{e}}}{{/d}}{{&a}}")).toEqual(["a", "b", "c", "d", "e"]);
  });

  test.each([
    ["a partial", "{{> secrets}}"],
    ["other marks", "{{=<% %>=}}<% a %>"],
    ["an end that is none", "{{/a}}"],
    ["a section without an end", "{{#a}}"],
    ["sections across each other", "{{#a}}{{#b}}{{/a}}{{/b}}"],
    ["a mark without an end", "{{a"],
  ])("with %s is none", (_, body) => {
    expect(() => namesIn(body)).toThrow(Unwritable);
  });

  test.each(["constructor", "__proto__", "a.length", ".", "toString", "b"])(
    "does not reach what is not among its data: {{%s}}",
    (name) => {
      expect(() => letter({ kind: "broadcast.x", data: { a: "x" }, template: text(`{{${name}}}`) })).toThrow(
        Unwritable,
      );
      expect(() =>
        letter({ kind: "broadcast.x", data: { a: "x" }, template: text(`{{#a}}{{${name}}}{{/a}}`) }),
      ).toThrow(Unwritable);
    },
  );

  test("a subject is one line, whatever its words bring", () => {
    const template = text("x", "Hello {{a}}");
    const data = { a: "Ada\r\nBcc: all@example.com\u0000\u2028x" };
    expect(letter({ kind: "broadcast.x", data, template }).subject).toBe("Hello Ada Bcc: all@example.com x");
  });

  test("a subject of words that are empty is the text's first line", () => {
    const template = text("\n {{a}}\nDear Ada,\r\nhow do you do", "{{a}} ");
    const written = letter({ kind: "broadcast.x", data: { a: "" }, template });
    expect(written.subject).toBe("Dear Ada,");
    const long = letter({ kind: "broadcast.x", data: { a: "" }, template: text("x".repeat(9000), "{{a}}") });
    expect(long.subject).toBe("x".repeat(500));
    const nothing = text("\u0000\n\u0000", "{{a}}");
    expect(() => letter({ kind: "broadcast.x", data: { a: "" }, template: nothing })).toThrow(Unwritable);
  });

  test("a letter is not sent with holes, nor empty, nor longer than its channel takes", () => {
    const { ends_at: _, ...holes } = sampleOf("reminder");
    const refused: Partial<Parameters<typeof writeLetter>[0]>[] = [
      { data: holes },
      { data: { ...holes, ends_at: "soon" } },
      { data: { ...sampleOf("reminder"), currency: "€" } },
      { data: null },
      { kind: "nobody_says_this" },
      { kind: "constructor" },
      { kind: "broadcast.x", data: {} },
      { kind: "broadcast.x", data: { a: { b: 1 } }, template: text("{{a}}") },
      { kind: "broadcast.x", data: { a: "x" }, template: text("{{#a}}{{/a}} \n") },
      {
        kind: "broadcast.x",
        data: { a: "x".repeat(2000) },
        channel: "telegram",
        template: text("{{a}}{{a}}{{a}}", null),
      },
    ];
    for (const wish of refused) expect(() => letter(wish), JSON.stringify(wish).slice(0, 80)).toThrow(Unwritable);
  });
});
