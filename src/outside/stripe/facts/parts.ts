import * as z from "zod";

/** An id of Stripe's. */
export const id = z.string().regex(/^\w{1,255}$/);

/** What refers to another object: its id or, expanded, the object. */
export const reference = z.union([id, z.object({ id }).transform((object) => object.id)]);

/** Minor units; exact, and never below zero. */
export const amount = z.int().min(0);

/** Unix seconds until the year 9999, which is as far as anybody here reads. */
export const seconds = z.int().min(0).max(253_402_300_799);

export const currency = z.string().regex(/^[a-z]{3}$/);

/** One of Stripe's own words: a status, a reason. New ones may come. */
export const word = z.string().regex(/^[a-z][a-z0-9_]{0,99}$/);

/** A member that may be absent or null: null. */
export function absent<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? null);
}

/** A list as Stripe embeds it: its first members, and whether there are more. */
export function list<Schema extends z.ZodType>(member: Schema) {
  return z.object({ data: z.array(member), has_more: z.boolean().optional() });
}
