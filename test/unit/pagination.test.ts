import * as fc from "fast-check";
import { expect, test } from "vitest";
import * as z from "zod";
import { cut, encodeCursor, pageOf, pageQuery } from "../../src/http/pagination.ts";
import { Problem } from "../../src/http/problem.ts";

const query = z.strictObject(pageQuery);

test("a cursor is the id it was made from", () => {
  fc.assert(
    fc.property(fc.uuid(), (id) => {
      const cursor = encodeCursor(id);
      expect(cursor).toMatch(/^[A-Za-z0-9_-]{22}$/);
      expect(pageOf({ limit: 20, cursor })).toEqual({ limit: 20, after: id });
    }),
  );
});

test("any other text is refused as a cursor, and the parameter named", () => {
  const id = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";
  const written = encodeCursor(id);
  const refused = fc.oneof(
    fc.string({ maxLength: 100 }),
    fc.constantFrom(id, "", `${written}A`, written.slice(1), `${written.slice(0, -1)}x`, `${written}==`, `${written} `),
  );
  fc.assert(
    fc.property(refused, (cursor) => {
      fc.pre(!/^[A-Za-z0-9_-]{21}[AQgw]$/.test(cursor));
      let problem: unknown;
      try {
        pageOf({ limit: 20, cursor });
      } catch (error) {
        problem = error;
      }
      expect(problem).toBeInstanceOf(Problem);
      expect(problem).toMatchObject({ code: "cursor_invalid", members: { errors: [{ in: "query", name: "cursor" }] } });
    }),
  );
});

test("a page has at most `limit` rows, and a cursor where there are more", () => {
  const rows = ["0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b", "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6c"].map((id) => ({ id }));
  expect(cut(rows, { limit: 2, after: null }, ({ id }) => id)).toEqual({ data: rows, next_cursor: null });
  expect(cut([], { limit: 2, after: null }, ({ id }: { id: string }) => id)).toEqual({ data: [], next_cursor: null });
  const first = cut(rows, { limit: 1, after: null }, ({ id }) => id);
  expect(first.data).toEqual(rows.slice(0, 1));
  expect(pageOf({ limit: 1, cursor: first.next_cursor ?? "" }).after).toBe(rows[0]?.id);
});

test("limit is 1 to 100, 20 without one", () => {
  expect(query.parse({})).toEqual({ limit: 20 });
  expect(query.parse({ limit: "1" }).limit).toBe(1);
  expect(query.parse({ limit: "100" }).limit).toBe(100);
  for (const limit of ["0", "101", "-1", "1.5", "1e1", "01", "", " 1", "ten", ["1", "2"], "9007199254740993"]) {
    expect(query.safeParse({ limit }).success).toBe(false);
  }
});
