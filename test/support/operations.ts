import * as z from "zod";

/** One route of /openapi.json, as tests that go through every route need it. */
export interface Operation {
  id: string;
  method: string;
  path: string;
  summary: string;
  tags: string[];
  /** What an API key must be allowed to do; null where no key is asked for. */
  scope: string | null;
  /** Names of path parameters. */
  params: string[];
  /** Query parameters with their schemas. */
  query: { name: string; required: boolean; schema: Schema }[];
  headers: { name: string; required: boolean }[];
  /** The JSON body's schema; null where there is none. */
  body: Schema | null;
  /** A body that the route takes, from the schema's examples. */
  example: unknown;
  /** The answers' schemas, by status. */
  answers: Record<string, Schema>;
}

/** As much of JSON Schema as our document uses. */
export interface Schema {
  type?: string | string[] | undefined;
  enum?: unknown[] | undefined;
  format?: string | undefined;
  example?: unknown;
  properties?: Record<string, Schema> | undefined;
  required?: string[] | undefined;
  items?: Schema | undefined;
  [more: string]: unknown;
}

const schema: z.ZodType<Schema> = z.lazy(() =>
  z.looseObject({
    type: z.union([z.string(), z.array(z.string())]).optional(),
    enum: z.array(z.unknown()).optional(),
    format: z.string().optional(),
    properties: z.record(z.string(), schema).optional(),
    required: z.array(z.string()).optional(),
    items: schema.optional(),
  }),
);

const content = z.record(z.string(), z.object({ schema }));

const described = z.object({
  operationId: z.string(),
  summary: z.string(),
  tags: z.array(z.string()),
  security: z.tuple([z.object({ api_key: z.tuple([z.string()]) })]).optional(),
  parameters: z
    .array(z.object({ name: z.string(), in: z.string(), required: z.boolean().default(false), schema }))
    .default([]),
  requestBody: z.object({ content }).optional(),
  responses: z.record(z.string(), z.object({ content })),
});

const document = z.object({ paths: z.record(z.string(), z.record(z.string(), described)) });

/** Every route that a Worker describes. */
export async function operations(url: string): Promise<Operation[]> {
  const response = await fetch(`${url}/openapi.json`);
  const { paths } = document.parse(await response.json());
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, route]) => {
      const inPart = (part: string) => route.parameters.filter((parameter) => parameter.in === part);
      const body = route.requestBody?.content["application/json"]?.schema ?? null;
      return {
        id: route.operationId,
        method: method.toUpperCase(),
        path,
        summary: route.summary,
        tags: route.tags,
        scope: route.security?.[0].api_key[0] ?? null,
        params: inPart("path").map(({ name }) => name),
        query: inPart("query").map(({ name, required, schema: of }) => ({ name, required, schema: of })),
        headers: inPart("header").map(({ name, required }) => ({ name, required })),
        body,
        example: body === null ? undefined : exampleOf(body),
        answers: Object.fromEntries(
          Object.entries(route.responses).flatMap(([status, { content: types }]) =>
            Object.values(types).map(({ schema: of }) => [status, of]),
          ),
        ),
      };
    }),
  );
}

/** The query that a route cannot do without, by its parameters' examples; but for what a test gives itself. */
export function needed({ query }: Operation, but?: string): string {
  const given = query.filter(({ name, required }) => required && name !== but);
  return given.map(({ name, schema: of }) => `${name}=${String(exampleOf(of))}&`).join("");
}

/** A value that a schema takes: its example, its first choice, or one built of its required members. */
function exampleOf(of: Schema): unknown {
  if (of.example !== undefined) return of.example;
  if (of.enum !== undefined) return of.enum[0];
  if (of.properties !== undefined) {
    const required = new Set(of.required);
    return Object.fromEntries(
      Object.entries(of.properties)
        .filter(([name]) => required.has(name))
        .map(([name, member]) => [name, exampleOf(member)]),
    );
  }
  if (of.items !== undefined) return [exampleOf(of.items)];
  throw new Error(`no example for ${JSON.stringify(of)}`);
}
