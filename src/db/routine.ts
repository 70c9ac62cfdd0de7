import type * as z from "zod";

/** What `ops.admit` and `ops.permit` know of the caller, by column. */
export type Admitted = "workspace_id" | "key_id" | "caused_by" | "idempotency_key" | "request_id";

/**
 * One routine of the database as this code calls it. `test/sql/contract.test.ts` holds every declaration against
 * `pg_proc`, so a routine cannot change under its callers.
 */
export interface Routine<Args extends z.ZodObject = z.ZodObject, Result extends z.ZodObject = z.ZodObject> {
  /** Schema and name. */
  readonly name: `${string}.${string}`;
  /** The arguments that the envelope fills, each from a column of the admission. */
  readonly context: Readonly<Record<string, Admitted>>;
  /** The arguments that the caller gives, bound as parameters and named as in SQL. */
  readonly args: Args;
  /** The routine's OUT columns, as JSON shows them. */
  readonly result: Result;
}

/** Declares a routine. A store exports all of its declarations as `calls`. */
export function routine<Args extends z.ZodObject, Result extends z.ZodObject>(
  declaration: Routine<Args, Result>,
): Routine<Args, Result> {
  return declaration;
}
