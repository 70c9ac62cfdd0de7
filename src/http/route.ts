import type { RouteConfig } from "@hono/zod-openapi";
import * as z from "zod";
import { type Code, problems } from "./problem.ts";

/** What an API key may be allowed to do. A workspace's key holds only the first seven. */
export const scopes = [
  "credits:read",
  "credits:write",
  "workspaces:read",
  "billing:read",
  "billing:write",
  "messages:read",
  "messages:write",
  "credits:grant",
  "workspaces:write",
  "ledger:adjust",
  "plans:write",
  "access:read",
  "access:write",
  "keys:read",
  "keys:write",
  "ops:read",
  "ops:write",
  "webhooks:read",
  "webhooks:write",
] as const;

export type Scope = (typeof scopes)[number];

/** The Idempotency-Key header as routes declare it. */
const idempotencyHeader = z
  .string()
  .min(1)
  .max(255)
  .meta({
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

/** A JSON body. An absent body is read as `{}`, so it is required only where a member is. */
export function jsonBody<Schema extends z.ZodObject>(schema: Schema) {
  // Looked up and not tried out: parsing compiles the schema, and a cold start would wait for all of them.
  const required = Object.values(schema.shape).some((member) => !(member instanceof z.ZodOptional));
  return { required, content: { "application/json": { schema } } };
}

const text = "string" as const;
const requestId = { schema: { type: text, format: "uuid" }, description: "Names the request in our log." };

const replayed = {
  schema: { type: text, enum: ["true"] },
  description: "Present when this is the answer of an earlier call with the same Idempotency-Key.",
};

/**
 * A JSON answer. Its schema is only described, never checked, so it is made when the document is first asked for: a
 * cold start does not wait for it.
 */
export function jsonAnswer<Schema extends z.ZodType>(make: () => Schema, description: string) {
  return { description, headers: { "Request-Id": requestId }, content: madeLater(make) };
}

/** The JSON answer of a call that takes an Idempotency-Key. */
export function keyedAnswer<Schema extends z.ZodType>(make: () => Schema, description: string) {
  const headers = { "Request-Id": requestId, "Idempotent-Replayed": replayed };
  return { description, headers, content: madeLater(make) };
}

function madeLater<Schema extends z.ZodType>(make: () => Schema): { "application/json": { schema: Schema } } {
  return {
    "application/json": {
      get schema() {
        return make();
      },
    },
  };
}

/** What any call with an API key may be refused with. */
const anySecured: Code[] = [
  "validation_failed",
  "unauthenticated",
  "forbidden",
  "internal_error",
  "database_busy",
  "database_unavailable",
];

/** The refusals of a route that reads. */
export function readRefusals(...codes: Code[]): object {
  return refusals([...anySecured, ...codes]);
}

/** The refusals of a route that writes: those of its body and of its key among them. */
export function writeRefusals(...codes: Code[]): object {
  return refusals([
    ...anySecured,
    "malformed_json",
    "body_too_large",
    "unsupported_media_type",
    "idempotency_key_invalid",
    "idempotency_key_reused",
    "outcome_unknown",
    ...codes,
  ]);
}

/** Documents codes by status. Their answers carry no type: handlers throw problems and never return them. */
export function refusals(codes: Code[]): object {
  const responses: Record<number, { description: string; content: object }> = {};
  for (const code of codes) {
    const { status, title } = problems[code];
    const line = `\`${code}\`: ${title}.`;
    const known = responses[status]?.description;
    responses[status] = {
      description: known === undefined ? line : `${known} ${line}`,
      content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
    };
  }
  return responses;
}
