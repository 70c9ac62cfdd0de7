import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect } from "vitest";
import * as z from "zod";
import { withClient } from "../world/roles.ts";
import { rows } from "../support/scenario.ts";
import { unwatched as test } from "../support/sql.ts";

// What the Worker of each release says to the database, as it was: the statements that it sends, and the columns that it reads
// in their answers. A deployment migrates first, and the Worker of before goes on running.

const directory = join(import.meta.dirname, "releases");
const calls = z.array(z.object({ routine: z.string(), statement: z.string(), answer: z.array(z.string()) }));
const releases = globSync("*.json", { cwd: directory }).map((file) => ({
  release: basename(file, ".json"),
  said: calls.parse(JSON.parse(readFileSync(join(directory, file), "utf8"))),
}));

test("every release is remembered", () => expect(releases.length).toBeGreaterThan(0));

describe.each(releases)("the Worker of $release", ({ said }) => {
  test("A17 finds every routine that it calls, under the names that it calls it by", async ({ database }) => {
    await withClient(database.workerUrl, async (worker) => {
      for (const [i, { routine, statement }] of said.entries()) {
        // PREPARE resolves names, arguments and privileges, and runs nothing.
        await worker.query(`prepare call_${i} as ${statement}`).catch((cause: unknown) => {
          throw new Error(`${routine} is not what it was`, { cause });
        });
      }
    });
  });

  test("A17 finds every column that it reads in their answers", async ({ db }) => {
    for (const { routine, answer } of said) {
      const [found] = await rows<{ names: string[] }>(
        db,
        `select coalesce(array_agg(a.name) filter (where a.mode in ('o', 'b', 't')), '{}') as names
           from pg_proc p
          cross join lateral unnest(p.proargnames, p.proargmodes::text[]) a(name, mode)
          where p.oid = to_regproc($1)`,
        [routine],
      );
      expect(found?.names, routine).toEqual(expect.arrayContaining(answer));
    }
  });
});
