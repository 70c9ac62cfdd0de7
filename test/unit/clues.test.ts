import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { facts, movers } from "../../src/ledger/clues.ts";

// What a routine writes as a transaction's key and cause, `explain` must be able to tell. That it does, and that nothing else
// is written, is for test/http/explain.test.ts and the invariants; here each word that stands in a routine is looked for.

const root = join(import.meta.dirname, "../../db/sql");
const routines = globSync("*/*.sql", { cwd: root }).map((file) => ({
  file,
  // The name of an advisory lock is no key.
  text: readFileSync(join(root, file), "utf8")
    .replaceAll(/^\s*--.*$/gm, "")
    .replaceAll(/hashtextextended\([^;]*/g, ""),
}));

const written = (pattern: RegExp) =>
  routines.flatMap(({ file, text }) =>
    [...text.matchAll(pattern)].map(([literal, word = ""]) => ({ file, literal, word })),
  );

test("every key that the system names itself is known by its word", () => {
  const keys = written(/'tg:([^':]*):?/g);
  expect(keys.length).toBeGreaterThan(10);
  for (const { file, literal, word } of keys) {
    expect(literal, `${file}: the word of a key stands in one literal with its colon`).toMatch(/^'tg:[a-z_]+:$/);
    expect(Object.keys(facts), `${file} writes ${literal}: src/ledger/clues.ts`).toContain(word);
  }
});

test("every cause that a routine names is known by its word", () => {
  const causes = written(/\b(?:caused_by|v_cause)(?: text)? :?=>? '([a-z_]+)/g);
  expect(new Set(causes.map(({ word }) => word)).size).toBeGreaterThan(2);
  for (const { file, literal, word } of causes) {
    expect(Object.keys(movers), `${file} writes ${literal}: src/ledger/clues.ts`).toContain(word);
  }
});
