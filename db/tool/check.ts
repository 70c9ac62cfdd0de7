import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { catalogueText, differences, parseCatalogue, readCatalogue } from "./catalogue.ts";
import type { Catalogue } from "./catalogue.ts";
import { projectRoot, runAsCommand } from "./command.ts";
import { namedUrl, withClient } from "./connect.ts";
import type { Places } from "./places.ts";
import { clock, defaultPrivileges, migrations, routines, rowLocks, sessions, version, worker } from "./facts.ts";

export interface CheckOptions {
  /** Of the local stack: its clock may be moved, and its Worker's role may have no way in yet. */
  local?: boolean;
  /** Another folder than this project's `migrations`. */
  directory?: string;
}

/**
 * Says what a database lacks of what the code relies on (A17): every table, column, constraint, index, routine, trigger
 * and privilege of `migrations/catalogue.json`, and facts that no catalogue tells. One line each; none: all is well.
 * Asks as the owner, and writes nothing.
 */
export async function check(connectionString: string, options: CheckOptions = {}): Promise<string[]> {
  const { local = false, directory = join(projectRoot, "migrations") } = options;
  const expected = readExpected(directory);
  const lines = await withClient(connectionString, async (client) => {
    const found = await readCatalogue(client, schemasOf(expected));
    return [
      ...(await version(client)),
      ...(await migrations(client, directory)),
      ...differences(expected, found),
      ...routines(found),
      ...(await defaultPrivileges(client)),
      ...(await worker(client, { wayIn: !local })),
      ...(await sessions(client)),
      ...(local ? [] : await clock(client)),
    ];
  });
  // Last: it takes a lock, if only for a moment.
  return [...lines, ...(await rowLocks(connectionString))];
}

/** The catalogue that this checkout's migrations make. */
export function readExpected(directory: string): Catalogue {
  const path = join(directory, "catalogue.json");
  if (!existsSync(path)) {
    throw new Error(`${path} is missing: npm run db:generate writes it`);
  }
  return parseCatalogue(readFileSync(path, "utf8"));
}

/** The schemas that are ours; what else a database holds is its owner's business. */
export function schemasOf(catalogue: Catalogue): string[] {
  return [...catalogue.keys()].flatMap((name) => /^schema (?<schema>.*)$/.exec(name)?.groups?.["schema"] ?? []);
}

/**
 * Holds the checkout against itself: what its migrations make from zero, what its source makes from zero, and what
 * `catalogue.json` says they make. Needs the embedded Postgres.
 */
export async function checkSource(places: Places): Promise<string[]> {
  const { fromZero } = await import("./from-zero.ts");
  return fromZero(places, async ({ migrated, source, url }) => {
    const stale = catalogueText(readExpected(places.migrations)) !== catalogueText(migrated);
    return [
      ...differences(source, migrated).map((line) => `migrations against source: ${line}`),
      ...(stale ? ["migrations/catalogue.json is not what the migrations make: npm run db:generate"] : []),
      ...(await check(url, { local: true, directory: places.migrations })),
    ];
  });
}

const help = `npm run db:check [-- [--local] URL]
  without a database: the migrations from zero, the source from zero and migrations/catalogue.json must agree
  with one (DATABASE_URL, or the argument; the owner's, unpooled): says what it lacks, one line each, and exits 1
  --local   of the local stack: its clock may be off, and its Worker's role without a password`;

runAsCommand(import.meta, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { local: { type: "boolean" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help === true) {
    console.log(help);
    return;
  }
  const url = namedUrl(positionals[0]);
  const { ourPlaces } = await import("./places.ts");
  const lines =
    url === undefined ? await checkSource(await ourPlaces()) : await check(url, { local: values.local === true });
  if (lines.length > 0) {
    throw new Error(lines.join("\n"));
  }
  console.log(url === undefined ? "The migrations, the source and the catalogue agree." : "Nothing is missing.");
});
