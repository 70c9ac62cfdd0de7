import type { RouteConfig } from "@hono/zod-openapi";
import * as z from "zod";
import { type Code, problems } from "./problem.ts";

/** What an API key may be allowed to do. A workspace's key holds only the first three. */
export const scopes = [
  "credits:read",
  "credits:write",
  "workspaces:read",
  "workspaces:write",
  "ledger:adjust",
  "keys:read",
  "keys:write",
  "ops:read",
  "ops:write",
] as const;

export type Scope = (typeof scopes)[number];

/** The Idempotency-Key header as routes declare it. */
const idempotencyHeader = z.string().meta({
  param: { name: "Idempotency-Key", in: "header" },
  description:
    "Names this one operation: 1 to 255 printable ASCII characters, not beginning with `tg:`. The same key with the " +
    "same request answers what the first call answered, with `Idempotent-Replayed: true`.",
  example: "order-4711-spend",
});

/** For routes that move value: 400 `idempotency_key_required` without the header. */
export const idempotencyRequired = z.object({ "Idempotency-Key": idempotencyHeader });

/** For other routes that make something: the header is taken where it is sent. */
export const idempotencyOptional = z.object({ "Idempotency-Key": idempotencyHeader.optional() });

/** How a route treats the header: by which of the two schemas it declares. */
export function idempotencyOf(route: RouteConfig): "required" | "optional" | null {
  const declared = route.request?.headers;
  if (declared === idempotencyRequired) return "required";
  return declared === idempotencyOptional ? "optional" : null;
}

/** A route that needs an API key with this scope. The scope is enforced in the statement; this documents it. */
export function secured(scope: Scope): { security: Record<string, string[]>[] } {
  return { security: [{ api_key: [scope] }] };
}

/** A JSON body. Not `required`: an absent body is read as `{}`. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { content: { "application/json": { schema } } };
}

/** A JSON answer. */
export function jsonAnswer<Schema extends z.ZodType>(schema: Schema, description: string) {
  return {
    description,
    headers: {
      "Request-Id": {
        schema: { type: "string" as const, format: "uuid" },
        description: "Names the request in our log",
      },
    },
    content: { "application/json": { schema } },
  };
}

/**
 * The refusals of a route, beside those that every route has. Their answers carry no type: handlers throw problems
 * and never return them.
 */
export function refusals(...codes: Code[]): object {
  const common: Code[] = [
    "validation_failed",
    "unauthenticated",
    "forbidden",
    "internal_error",
    "database_unavailable",
  ];
  const byStatus = new Map<number, Code[]>();
  for (const code of [...common, ...codes]) {
    const { status } = problems[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const responses: Record<number, unknown> = {};
  for (const [status, listed] of byStatus) {
    responses[status] = {
      description: listed.map((code) => `\`${code}\`: ${problems[code].title}`).join(". "),
      content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
    };
  }
  return responses;
}
