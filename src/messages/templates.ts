import { and, desc, eq, lt, sql } from "drizzle-orm";
import * as z from "zod";
import { template } from "../../db/schema/messages.ts";
import { permitted, read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import { settings } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { type Fault, invalid, Problem } from "../http/problem.ts";
import { instant, utc } from "../http/time.ts";
import { builtIn, builtInLanguages } from "./built-in.ts";
import { channel } from "./contact-model.ts";
import { houseKinds, isBroadcast, kindOf } from "./kinds.ts";
import { type Channel, longestBody, namesIn, namesOf, show, type Template, Unwritable, writeLetter } from "./letter.ts";
import type { previewBody } from "./template-model.ts";
import { tokenLength, wayOutOf, wayOutUrl, wayOutWord } from "./way-out.ts";

const reading = { scope: "messages:read", workspace: null } as const;

const putCall = routine({
  name: "messages.put_template",
  context: { caused_by: "caused_by" },
  args: z.strictObject({
    kind: z.string(),
    channel,
    language: z.string(),
    subject: z.string().nullable(),
    body: z.string(),
    variables: z.array(z.string()),
  }),
  result: z.object({
    id: z.string(),
    kind: z.string(),
    channel,
    language: z.string(),
    number: z.int(),
    subject: z.string().nullable(),
    body: z.string(),
    created_at: instant,
  }),
});

/** Every routine that is called here, for the contract test. */
export const calls = [putCall];

interface Place {
  kind: string;
  channel: Channel;
  language: string;
}

interface Words {
  subject?: string | undefined;
  body: string;
}

/** Every kind that the house says, with what its texts may name. */
export async function listKinds(c: AppContext) {
  await permitted(c, reading);
  return [...houseKinds()].map(([kind, { about, sample }]) => ({
    kind,
    about,
    variables: Object.entries(show(kind, sample, "en")).map(([name, example]) => ({
      name,
      is: typeof example === "string" ? ("word" as const) : ("flag" as const),
      example,
    })),
    sample,
    languages: builtInLanguages(kind),
  }));
}

/** The link to leave broadcasts, where texts there have one of the house: whole, as long as a reader's own, and as it is shown. */
function linkIn(c: AppContext, { kind, channel: to }: Place): { whole: string; shown: string } | null {
  const way = isBroadcast(kind) && to === "email" ? wayOutOf(settings(c.env)) : null;
  if (way === null) return null;
  return { whole: wayOutUrl(way.origin, "…".repeat(tokenLength(kind))), shown: wayOutUrl(way.origin, "…") };
}

const linkMark = new RegExp(`\\{\\{[{&]?\\s*${wayOutWord}\\s*\\}?\\}\\}`, "g");

/**
 * The names that a text uses. Throws `validation_failed` naming the member that cannot be used: one that is no text, names what its kind
 * does not have, is too long for its channel, or a subject where there is none to be, or none where there is.
 */
function checked(c: AppContext, place: Place, { subject, body }: Words): string[] {
  const { kind, channel: to } = place;
  const faults: Fault[] = [];
  const fault = (member: string, code: string, detail: string) =>
    faults.push({ in: "body", pointer: `/${member}`, code, detail });
  if (to === "email" && subject === undefined) fault("subject", "required", "is required: an e-mail has a subject");
  if (to !== "email" && subject !== undefined) fault("subject", "unknown_member", "only an e-mail has a subject");
  const written = body.replaceAll(linkMark, linkIn(c, place)?.whole ?? "$&");
  if (Math.max(body.length, written.length) > longestBody[to])
    fault(
      "body",
      "too_big",
      `must have at most ${longestBody[to]} characters${written === body ? "" : ", with its link written out"}`,
    );
  const known = namesOf(kind);
  const used = new Set<string>();
  for (const [member, text] of Object.entries({ subject, body })) {
    if (text === undefined) continue;
    try {
      for (const name of namesIn(text)) {
        if (known === null ? /^[a-z][a-z0-9_]{0,49}$/.test(name) : known.includes(name)) used.add(name);
        else
          fault(
            member,
            "unknown_variable",
            `${kind} has no {{${name}}}${known === null ? "" : `: it has ${known.join(", ")}`}`,
          );
      }
    } catch (error) {
      if (!(error instanceof Unwritable)) throw error;
      fault(member, "invalid_value", error.message);
    }
  }
  if (faults.length > 0) throw invalid(faults);
  return [...used].toSorted();
}

/** What a kind says there from now on. */
export async function putTemplate(c: AppContext, wish: Place & Words) {
  const args = { ...wish, subject: wish.subject ?? null, variables: checked(c, wish, wish) };
  return write(c, { routine: putCall, args, scope: "messages:write", workspace: null });
}

/** What was written in this language, else in its language without the country, else in English: the newest of the first that is. */
async function found(c: AppContext, { kind, channel: to, language }: Place) {
  const languages = [language, language.split("-")[0] ?? language, "en"];
  const ranked = sql`array_position(array[${sql.join(
    languages.map((one) => sql`${one}`),
    sql`, `,
  )}]::text[], ${template.language})`;
  const [row] = await read(c, reading, (db) =>
    db
      .select({
        language: template.language,
        number: template.number,
        subject: template.subject,
        body: template.body,
        created_at: template.created_at,
      })
      .from(template)
      .where(and(eq(template.kind, kind), eq(template.channel, to), sql`${ranked} is not null`))
      .orderBy(ranked, desc(template.number))
      .limit(1),
  );
  return row;
}

/** What a kind says now to a reader of a language, his own or what comes with the house. Refuses `not_found`. */
export async function getTemplate(c: AppContext, place: Place) {
  const written = await found(c, place);
  if (written !== undefined) return { ...place, ...written, created_at: utc(written.created_at) };
  const ours = builtIn(place.kind, place.language);
  if (ours === undefined) throw new Problem("not_found");
  const { language, subject, body } = ours;
  return { ...place, language, subject: place.channel === "email" ? subject : null, body, number: 0, created_at: null };
}

/** Writes a letter as a reader would get it. Refuses `not_found` where there is no text. */
export async function previewLetter(c: AppContext, wish: z.infer<typeof previewBody>) {
  const { kind, channel: to, language, subject, body, data = kindOf(wish.kind)?.sample } = wish;
  let text: Template | null;
  if (body === undefined) {
    const written = await found(c, wish);
    if (written === undefined && builtIn(kind, language) === undefined) throw new Problem("not_found");
    text = written ?? null;
  } else {
    await permitted(c, reading);
    checked(c, wish, { subject, body });
    text = { language, subject: subject ?? null, body };
  }
  const link = linkIn(c, wish);
  const short = (said: string) => (link === null ? said : said.replaceAll(link.whole, link.shown));
  try {
    const letter = writeLetter({
      channel: to,
      kind,
      data: { ...(link === null ? {} : { [wayOutWord]: link.whole }), ...data },
      language,
      template: text,
    });
    const spoken = text?.language ?? builtIn(kind, language)?.language ?? language;
    return { language: spoken, subject: to === "email" ? short(letter.subject) : null, text: short(letter.text) };
  } catch (error) {
    if (!(error instanceof Unwritable)) throw error;
    throw invalid(dataFaults(error));
  }
}

/** Where data do not fit their kind; the rest is about all of it. */
function dataFaults(error: Unwritable): Fault[] {
  const { cause } = error;
  if (!(cause instanceof z.ZodError)) {
    return [{ in: "body", pointer: "/data", code: "invalid_value", detail: error.message }];
  }
  return cause.issues.map((issue) => ({
    in: "body",
    pointer: `/data${issue.path.map((part) => `/${String(part)}`).join("")}`,
    code: issue.code,
    detail: issue.message,
  }));
}

const withMoment = <Row extends { created_at: string }>(row: Row) => ({ ...row, created_at: utc(row.created_at) });

/** A page of all texts that were ever saved, newest first, and one more. */
export async function listTemplates(c: AppContext, page: Page, kind: string | undefined) {
  const rows = await read(c, reading, (db) =>
    db
      .select({
        id: template.id,
        kind: template.kind,
        channel: sql<Channel>`${template.channel}`.as("channel"),
        language: template.language,
        number: template.number,
        subject: template.subject,
        body: template.body,
        created_at: template.created_at,
      })
      .from(template)
      .where(
        and(
          kind === undefined ? undefined : eq(template.kind, kind),
          page.after === null ? undefined : lt(template.id, page.after),
        ),
      )
      .orderBy(desc(template.id))
      .limit(page.limit + 1),
  );
  return rows.map(withMoment);
}
