import { randomUUID } from "node:crypto";
import * as fc from "fast-check";
import { expect } from "vitest";
import { Api } from "../support/api.ts";
import { footprint } from "../support/footprint.ts";
import { operations, type Operation } from "../support/operations.ts";
import { test as inWorld } from "../support/world.ts";
import { bodyWith, placesOf } from "./values.ts";

const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  .extend("routes", { scope: "file" }, async ({ world }) => {
    const all = await operations(world.url);
    return all.filter(({ scope }) => scope !== null);
  });

/** Any JSON text, strings of every kind of character among it, and some that is none. */
const anything = fc.oneof(
  { weight: 6, arbitrary: fc.json({ stringUnit: "binary" }) },
  {
    weight: 2,
    arbitrary: fc.jsonValue({ stringUnit: "grapheme", depthSize: "large" }).map((value) => JSON.stringify(value)),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary" }) },
  { weight: 1, arbitrary: fc.bigInt().map(String) },
  { weight: 1, arbitrary: fc.double().map(String) },
);

/** A body for a route: anything, or its example with anything in one place. */
function bodyFor(route: Operation): fc.Arbitrary<string> {
  if (route.body === null) return anything;
  const places = placesOf(route.body).map(({ pointer }) => pointer);
  return fc
    .tuple(fc.constantFrom(...places), anything)
    .map(([pointer, json]) => bodyWith(route.example, pointer, json));
}

/**
 * Nobody's workspace: what fits by chance is checked by the database and refused as 404, so no answer is 2xx. Routes of
 * no workspace are called with a key that may do nothing there.
 */
test("whatever is sent to any route is answered by a problem below 500 and writes nothing", async ({
  api,
  db,
  routes,
}) => {
  const powerless = await api.withKey(["credits:read"]);
  const before = await footprint(db);
  // Those two would be another path.
  const segment = fc.webSegment().filter((text) => text !== "." && text !== "..");
  const call = fc.constantFrom(...routes).chain((route) =>
    fc.record({
      route: fc.constant(route),
      body: bodyFor(route),
      ids: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: segment }),
      query: fc.oneof({ weight: 4, arbitrary: fc.constant("") }, { weight: 1, arbitrary: fc.webQueryParameters() }),
      key: fc.oneof(
        { weight: 4, arbitrary: fc.uuid() },
        { weight: 1, arbitrary: fc.string({ unit: "grapheme-ascii" }) },
      ),
    }),
  );
  await fc.assert(
    fc.asyncProperty(call, async ({ route, body, ids, query, key }) => {
      const path = route.path.replaceAll(/\{\w+\}/g, () => ids ?? randomUUID());
      const client = route.path.includes("{workspace}") ? api : powerless;
      const sent = route.method === "GET" ? {} : { body, key };
      const answer = await client.call(route.method, query === "" ? path : `${path}?${query}`, sent);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
      expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
      expect(answer.body).toMatchObject({ status: answer.status, code: expect.stringMatching(/^[a-z_]+$/) });
      if (answer.status === 400) expect(answer.body).toHaveProperty("errors.0.in");
    }),
    { numRuns: 600 },
  );
  expect(await footprint(db)).toEqual(before);
});
