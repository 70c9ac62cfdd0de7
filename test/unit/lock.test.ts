import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as z from "zod";
import { projectRoot } from "../world/bundle.ts";

const lock = z
  .object({
    packages: z.record(
      z.string(),
      z.object({
        version: z.string().optional(),
        resolved: z.string().optional(),
        optionalDependencies: z.record(z.string(), z.string()).default({}),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(join(projectRoot, "package-lock.json"), "utf8")));

/** Where npm would find a package from inside another: in its own folder, else in one further up. */
function find(name: string, from: string): string | undefined {
  const place = from === "" ? `node_modules/${name}` : `${from}/node_modules/${name}`;
  if (lock.packages[place] !== undefined || from === "") return lock.packages[place]?.version;
  return find(name, from.slice(0, Math.max(0, from.lastIndexOf("/node_modules/"))));
}

/** npm leaves out what its registry did not have at the moment, without a word: that machine then has no program. */
test("B5 the lock has the packages of every platform, not only of the one that wrote it", () => {
  const missing = Object.entries(lock.packages).flatMap(([place, { optionalDependencies }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => find(name, place) === undefined)
      .map((name) => `${place} needs ${name}`),
  );
  expect(missing).toEqual([]);
});

test("B5 the lock names no registry: any mirror serves", () => {
  expect(Object.values(lock.packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
});

test("B5 every direct dependency has one exact version", () => {
  const manifest: unknown = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8"));
  const versions = z.record(z.string(), z.string()).default({});
  const { dependencies, devDependencies, optionalDependencies } = z
    .object({ dependencies: versions, devDependencies: versions, optionalDependencies: versions })
    .parse(manifest);
  const ranges = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies }).filter(
    ([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version),
  );
  expect(ranges).toEqual([]);
  // Two versions of one thing would be two workerds.
  expect(find("miniflare", "node_modules/wrangler")).toBe(devDependencies["miniflare"]);
});
