import mustache from "mustache";
import * as z from "zod";
import { builtIn } from "./built-in.ts";
import { isBroadcast, kindOf, type View } from "./kinds.ts";
import { speakerOf, spokenIn } from "./speaking.ts";

/** A text that somebody wrote, as it is kept; without a subject on channels that have none. */
export interface Template {
  language: string;
  subject: string | null;
  body: string;
}

/** What is sent: plain text, on every channel. */
export interface Letter {
  subject: string;
  text: string;
}

/** What Telegram takes in one message; an e-mail of ours needs no more than twice as much. */
export const longestBody = { email: 10_000, telegram: 4096 } as const;

/** Longer than any that a text of ours may have before its words are filled in. */
const longestSubject = 500;

export type Channel = keyof typeof longestBody;

/** Why a text cannot be used, or a letter not be written: said to who wrote it. */
export class Unwritable extends Error {}

/** Its data lack a word that its text names. */
export class Lacking extends Unwritable {
  readonly word: string;

  constructor(word: string) {
    super(`the data have no ${word}`);
    this.word = word;
  }
}

/** A text may name words and ask for flags; it may not bring in other texts, change its own marks, or look into a word. */
const plain = new Set(["name", "&", "#", "^", "!", "text"]);

/** What a text is parsed to: marks, and what stands within a section. */
const spans = z.array(
  z
    .tuple([z.string(), z.string(), z.int(), z.int()], z.unknown())
    .transform(([type, value, , , inner]) => ({ type, value, inner })),
);

/** One that keeps nothing: what a text is parsed to is of no use to another request. */
function writer() {
  const made = new mustache.Writer();
  Reflect.set(made, "templateCache", undefined);
  return made;
}

/** The names that a text uses, each once. Throws `Unwritable` where it is no text for us. */
export function namesIn(text: string): string[] {
  const names = new Set<string>();
  const walk = (parsed: unknown): void => {
    for (const { type, value, inner } of spans.parse(parsed)) {
      if (!plain.has(type)) throw new Unwritable(`{{${type}${value}}} is not for texts of ours`);
      if (type !== "text" && type !== "!") names.add(value);
      if (Array.isArray(inner)) walk(inner);
    }
  };
  walk(parse(text));
  return [...names];
}

function parse(text: string): unknown {
  try {
    return writer().parse(text);
  } catch (error) {
    throw new Unwritable(error instanceof Error ? error.message : "it cannot be read", { cause: error });
  }
}

/** Fills a text. Nothing is escaped: it is read as plain text wherever it goes. Throws `Unwritable` where a word is missing. */
function fill(text: string, view: View): string {
  const missing = namesIn(text).find((name) => !Object.hasOwn(view, name));
  if (missing !== undefined) throw new Lacking(missing);
  return writer().render(text, view, undefined, { escape: String });
}

/** One line: what a word brings may not begin another header. */
const oneLine = (text: string): string => text.replaceAll(/[\s\p{Cc}]+/gu, " ").trim();

/**
 * Writes what one reader is sent: by the template that was found for him, else by what comes with the house. Throws `Unwritable`
 * where there is no such kind or text, or its data lack what it names: it is not sent with holes.
 */
export function writeLetter(of: {
  channel: Channel;
  kind: string;
  data: unknown;
  language: string;
  template: Template | null;
}): Letter {
  const kind = kindOf(of.kind);
  const template = of.template ?? builtIn(of.kind, of.language);
  if (kind === undefined || template === undefined) throw new Unwritable(`nobody has written a text of ${of.kind}`);
  const view = show(of.kind, of.data, spokenIn(of.language, template.language));
  const text = fill(template.body, view).trim();
  // No mail goes without a subject, and one of words that are empty has none.
  const subject = [fill(template.subject ?? "", view), ...text.split("\n")].map(oneLine).find((line) => line !== "");
  if (text === "" || subject === undefined) throw new Unwritable("there is nothing in it");
  if (text.length > longestBody[of.channel]) throw new Unwritable("it is too long for its channel");
  return { subject: oneLine(subject.slice(0, longestSubject)), text };
}

/** What a text of a kind may name, with these data. Throws `Unwritable`. */
export function show(kind: string, data: unknown, language: string): View {
  try {
    return kindOf(kind)?.show(data, speakerOf(language)) ?? {};
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    const places = error.issues.map(({ path }) => path.join("."));
    throw new Unwritable(`the data of ${kind} are not whole: ${places.join(", ")}`, { cause: error });
  }
}

/** The names that texts of a kind may use; null: whatever its data will have. */
export function namesOf(kind: string): string[] | null {
  return isBroadcast(kind) ? null : Object.keys(show(kind, kindOf(kind)?.sample, "en"));
}
