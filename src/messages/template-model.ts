import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { moment, uuid } from "../http/parameters.ts";
import { channel, language } from "./contact-model.ts";
import { kindOf } from "./kinds.ts";
import { longestBody } from "./letter.ts";

const kindName = z
  .string()
  .max(80)
  .refine(
    (name) => kindOf(name) !== undefined,
    "must be a kind of message (GET /v1/message_kinds), or broadcast.<name>",
  )
  .meta({ example: "reminder" });

const subject = z
  .string()
  .min(1)
  .max(300)
  .regex(/^[^\n\r\t]*$/, "must be one line")
  .meta({ description: "Of e-mail, and only of it.", example: "Your subscription ends on {{ends_at}}" });

const body = z
  .string()
  .min(1)
  .max(longestBody.email)
  .meta({
    description:
      "Mustache: `{{name}}` is written out, as plain text; `{{#name}}…{{/name}}` is there where it is so, `{{^name}}…{{/name}}` where not. " +
      "10,000 characters at most, at Telegram 4,096.",
    example: "Your subscription ends on {{ends_at}}. {{#renews}}It renews for {{amount}}.{{/renews}}",
  });

const said = z.record(z.string(), z.unknown());

const place = { kind: kindName, channel, language };

export const currentQuery = z.strictObject(place);
export const templatesQuery = z.strictObject({ ...pageQuery, kind: kindName.optional() });

export const templateBody = z.strictObject({ ...place, subject: subject.optional(), body }).meta({
  example: {
    kind: "reminder",
    channel: "email",
    language: "de",
    subject: "Ihr Abonnement endet am {{ends_at}}",
    body: "Es endet am {{ends_at}}.",
  },
});

export const previewBody = z
  .strictObject({
    ...place,
    subject: subject.optional(),
    body: body.optional().meta({ description: "A text to try; without it, what would be said now." }),
    data: said.optional().meta({ description: "Without them, the kind's sample." }),
  })
  .meta({ example: { kind: "reminder", channel: "email", language: "de" } });

export const templateItem = () =>
  z.object({
    kind: z.string(),
    channel,
    language,
    number: z.int().min(0).meta({ description: "Each change is a new number; 0: it comes with the house." }),
    subject: z.string().nullable(),
    body: z.string(),
    created_at: moment.nullable(),
  });

export const savedItem = () => templateItem().extend({ id: uuid });

export const letterAnswer = () => z.object({ language, subject: z.string().nullable(), text: z.string() });

export const kindsAnswer = () =>
  z.object({
    data: z.array(
      z.object({
        kind: z.string().meta({ example: "reminder" }),
        about: z.string(),
        variables: z.array(
          z.object({
            name: z.string().meta({ example: "ends_at" }),
            is: z.enum(["word", "flag"]).meta({ description: "A word is written out, a flag is asked for." }),
            example: z.union([z.string(), z.boolean()]),
          }),
        ),
        sample: z.record(z.string(), z.unknown()).meta({ description: "Its data, as they come." }),
        languages: z.array(z.string()).meta({ description: "Those that come with the house." }),
      }),
    ),
  });
