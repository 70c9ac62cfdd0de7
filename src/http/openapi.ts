import type { OpenAPIHono } from "@hono/zod-openapi";
import type { AppEnv } from "./context.ts";
import { problems, problemType } from "./problem.ts";

const description = `
The backend between a product and its money. Every amount is an integer, every time is RFC 3339 in UTC, every id a UUID.

**Errors** are RFC 9457 \`application/problem+json\`, on every route; build on \`code\`. **Idempotency-Key** names one
operation: repeat a call with its key as often as you like, and it is done once. **Lists** page by \`next_cursor\`.
`.trim();

const fault = {
  type: "object",
  required: ["in", "code", "detail"],
  properties: {
    in: { type: "string", enum: ["body", "path", "query", "header"] },
    pointer: { type: "string", description: "JSON pointer into the body" },
    name: { type: "string", description: "the parameter or header" },
    code: { type: "string" },
    detail: { type: "string" },
  },
} as const;

const problem = {
  type: "object",
  required: ["type", "title", "status", "code", "request_id"],
  properties: {
    type: { type: "string", example: problemType("insufficient_credits") },
    title: { type: "string", example: problems.insufficient_credits.title },
    status: { type: "integer", example: 402 },
    code: { type: "string", enum: Object.keys(problems) },
    detail: { type: "string" },
    request_id: { type: "string", format: "uuid" },
    errors: { type: "array", items: fault },
    available: { type: "integer", description: "with insufficient_credits" },
    state: { type: "string", description: "with hold_ended and subscription_exists" },
    reason: { type: "string", description: "with workspace_read_only, workspace_frozen and change_invalid" },
    id: { type: "string", format: "uuid", description: "with checkout_open: the purchase that is open" },
    url: { type: ["string", "null"], description: "with checkout_open: where it is paid" },
    expires_at: { type: "string", format: "date-time", description: "with checkout_open" },
    scope: { type: "string", description: "with forbidden: the scope that the key lacks" },
    provider_code: { type: ["string", "null"], description: "with provider_refused: Stripe's own code" },
    retry_after: { type: "integer", description: "seconds, with 503" },
  },
} as const;

/** Generates the OpenAPI 3.1 document from the routes, when it is first asked for. */
export function openApiText(app: OpenAPIHono<AppEnv>): () => string {
  let text: string | undefined;
  return () => {
    text ??= generate(app);
    return text;
  };
}

function generate(app: OpenAPIHono<AppEnv>): string {
  app.openAPIRegistry.registerComponent("schemas", "Problem", { ...problem } as object);
  app.openAPIRegistry.registerComponent("securitySchemes", "api_key", {
    type: "http",
    scheme: "bearer",
    description: "`Authorization: Bearer tg_…`: an operator's or a workspace's API key, with scopes.",
  });
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Tollgate", version: "1", description },
    servers: [{ url: "/" }],
  });
  return JSON.stringify(document);
}
