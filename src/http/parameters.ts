import * as z from "zod";

/** A UUID in its one canonical form: Postgres also takes capitals and braces, which would be other cache keys and logs. */
export const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, "must be a UUID in lower case")
  .meta({ format: "uuid", example: "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b" });

/** The largest integer that JSON carries exactly everywhere. */
export const largest = Number.MAX_SAFE_INTEGER;

/** An amount of something: integers from 1. */
export const amount = z.int().min(1).max(largest).meta({ example: 5 });

/** Why something is done: kept with the transaction and shown in lists. */
export const reason = z.string().min(1).max(500).meta({ example: "report generated" });

/** A name for people. */
export const name = z
  .string()
  .max(200)
  // Everything but control characters, written so that it means the same without the flag u, which OpenAPI cannot show.
  .regex(/^(?=.*\S)[ -~\u00a0-\uffff]*$/, "must not be blank, nor contain control characters")
  .meta({ example: "Acme" });

/** Whoever a customer is to the operator: by what a trial is had once. */
export const identity = z
  .string()
  .max(200)
  // As a name's: what the flag u would change is written out, for OpenAPI cannot show it.
  .regex(/^(?=.*\S)[ -~\u00a0-\uffff]*$/, "must not be blank, nor contain control characters")
  .meta({
    description:
      "What you know your customer by, for whoever comes back in another workspace: an account's id, an address in one " +
      "spelling. Capitals count, spaces around it do not. Only its SHA-256 is kept, for ever.",
    example: "user-4711",
  });

/** A moment as answers show it: RFC 3339, UTC. */
export const moment = z.string().meta({ format: "date-time", example: "2026-11-22T06:11:00.123Z" });

/** A year that anybody means, as many digits of a second as nanoseconds have, and an offset that Postgres knows. */
const plainMoment = /^20\d\d-[^.]*(?:\.\d{1,9})?(?:Z|[+-](?:0\d|1[0-5]):\d\d)$/;

/**
 * A moment as requests give it: RFC 3339 with an offset. What RFC 3339 has and Postgres refuses (`+16:00`, a hundred
 * digits of a second) is refused here, and so is what Postgres has besides (`infinity`, `now`, `tomorrow`).
 */
export const futureMoment = z.iso
  .datetime({ offset: true })
  .refine(
    (text) => plainMoment.test(text) && !Number.isNaN(Date.parse(text)),
    "must be a date of the years 2000 to 2099, with at most 9 digits of a second and an offset under 16 hours",
  )
  .meta({ format: "date-time", example: "2027-01-31T00:00:00Z" });
