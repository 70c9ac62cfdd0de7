import { DatabaseError } from "pg";
import { Problem, problems } from "../../src/http/problem.ts";

/** What a refusal means to whoever typed the command: a routine's code with what it needs to know, or Stripe's own words. */
export function explained(error: unknown): unknown {
  if (error instanceof DatabaseError && error.code === "TG001") {
    return new Error(`Refused: ${error.message} ${error.detail === "{}" ? "" : (error.detail ?? "")}`.trim());
  }
  if (error instanceof Problem) {
    const { detail } = error.members;
    return new Error(`${problems[error.code].title}${typeof detail === "string" ? `: ${detail}` : "."}`);
  }
  return error instanceof DatabaseError && error.code === "22P02" ? new Error("An id is a UUID.") : error;
}
