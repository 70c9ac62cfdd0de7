import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import * as z from "zod";
import { settings } from "../env.ts";
import { readBody } from "./body.ts";
import type { AppEnv } from "./context.ts";
import { presentedKey, sha256 } from "./credential.ts";
import { fingerprintText, presentedIdempotencyKey } from "./idempotency.ts";
import { pointerSegment } from "./json.ts";
import { type Fault, invalid } from "./problem.ts";
import { idempotencyOf } from "./route.ts";

/**
 * A router whose routes are declared with zod-openapi and checked by one middleware of ours. The library's own
 * validators read the body through JSON.parse, which rounds integers, and answer malformed JSON and a missing content
 * type past every hook; its registry, document and types stay.
 */
export function router(): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>();
  return Object.assign(app, {
    openapi(route: RouteConfig, handler: MiddlewareHandler) {
      app.openAPIRegistry.registerPath(route);
      app.on(route.method, route.path.replaceAll(/\{(.+?)\}/g, ":$1"), check(route), handler);
      return app;
    },
  });
}

/** Credential, parameters, headers, body: in this order, each once; a fault answers before the next is looked at. */
function check(route: RouteConfig): MiddlewareHandler<AppEnv> {
  const secured = route.security !== undefined;
  const request = route.request;
  const params = schemaOf(request?.params);
  const query = schemaOf(request?.query) ?? z.strictObject({});
  const body = bodySchemaOf(route);
  const idempotency = idempotencyOf(route);

  return async (c, next) => {
    c.get("trace").route = route.path;
    let key: string | null = null;
    if (secured) {
      key = presentedKey(c.req.raw.headers);
      c.set("database", settings(c.env).database);
    }
    if (params !== undefined) accept(c, "param", "path", params, c.req.param());
    accept(c, "query", "query", query, queryOf(c.req.raw.url));
    if (idempotency !== null) {
      c.set("idempotencyKey", presentedIdempotencyKey(c.req.raw.headers, idempotency === "required"));
    }
    let raw: unknown = {};
    if (body !== undefined) {
      raw = await readBody(c.req.raw);
      accept(c, "json", "body", body, raw);
    }
    if (key !== null) {
      const [credential, fingerprint] = await Promise.all([
        sha256(key),
        idempotency === null ? "" : sha256(fingerprintText(c.req.method, c.req.path, raw)),
      ]);
      c.set("credential", credential);
      c.set("fingerprint", fingerprint);
    }
    return next();
  };
}

function schemaOf(declared: unknown): z.ZodObject | undefined {
  return declared instanceof z.ZodObject ? declared : undefined;
}

function bodySchemaOf(route: RouteConfig): z.ZodObject | undefined {
  const content = route.request?.body?.content["application/json"];
  return content !== undefined && "schema" in content ? schemaOf(content.schema) : undefined;
}

/** Query parameters; one that is there twice is an array, which no schema takes. */
function queryOf(url: string): Record<string, string | string[]> {
  // Without a prototype, so that a parameter named __proto__ is one like any other.
  const found: Record<string, string | string[]> = Object.create(null);
  const start = url.indexOf("?");
  if (start === -1) return found;
  for (const [name, value] of new URLSearchParams(url.slice(start))) {
    const known = found[name];
    found[name] = known === undefined ? value : [known, value].flat();
  }
  return found;
}

function accept(
  c: Context,
  target: "param" | "query" | "json",
  part: Fault["in"],
  schema: z.ZodObject,
  value: unknown,
): void {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(parsed.error.issues.flatMap((issue) => faultsOf(issue, part, value)));
  c.req.addValidatedData(target, parsed.data);
}

/** What zod found, in the API's words: each unknown member by its own name, a missing one as `required`. */
function faultsOf(issue: z.core.$ZodIssue, part: Fault["in"], input: unknown): Fault[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      ...placeOf(part, [...issue.path, key]),
      code: "unknown_member",
      detail: "this route knows no such member",
    }));
  }
  const missing = valueAt(input, issue.path) === undefined;
  return [
    {
      ...placeOf(part, issue.path),
      code: missing ? "required" : issue.code === "custom" ? "invalid_value" : issue.code,
      detail: missing ? "is required" : issue.message,
    },
  ];
}

function placeOf(part: Fault["in"], path: readonly PropertyKey[]): Pick<Fault, "in" | "pointer" | "name"> {
  if (part !== "body") return { in: part, name: pointerSegment(String(path[0] ?? "")).slice(1) };
  return { in: part, pointer: path.map((key) => pointerSegment(String(key))).join("") };
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) value = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  return value;
}
