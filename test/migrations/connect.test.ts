import { afterEach, expect, test, vi } from "vitest";
import { databaseUrl, namedUrl } from "../../db/tool/connect.ts";

afterEach(() => vi.unstubAllEnvs());

const far = "postgresql://owner:secret@ep-cool-1.eu-central-1.aws.neon.tech/neondb";
const here = "postgresql://owner:secret@127.0.0.1:5432/tollgate";

test("a password that opens a database elsewhere is no argument, and the refusal does not repeat it", () => {
  for (const named of [namedUrl, databaseUrl]) {
    expect(() => named(far)).toThrow(/^An argument is no place for a password to ep-cool-1[^:]*: set DATABASE_URL\.$/);
    expect(named(here)).toBe(here);
    expect(named(far.replace(":secret", ""))).toContain("neon.tech");
  }
});

test("without an argument it is DATABASE_URL, and an empty one is none", () => {
  vi.stubEnv("DATABASE_URL", far);
  expect(namedUrl(undefined)).toBe(far);
  expect(databaseUrl(undefined)).toBe(far);
  vi.stubEnv("DATABASE_URL", "");
  expect(namedUrl(undefined)).toBeUndefined();
  expect(() => databaseUrl(undefined)).toThrow("Set DATABASE_URL");
});
