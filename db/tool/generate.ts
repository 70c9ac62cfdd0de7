import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { catalogueText, differences } from "./catalogue.ts";
import { changes, compose } from "./compose.ts";
import { readMigrations } from "./history.ts";
import { projectRoot, runAsCommand } from "./command.ts";
import { ourPlaces } from "./places.ts";
import type { Places } from "./places.ts";
import { refusals } from "./rules.ts";
import { readSource, SourceError } from "./source.ts";
import { squawk } from "./squawk.ts";
import { readSnapshot, snapshotOf, snapshotText } from "./tables.ts";

/** A migration that is to be written. */
export interface Next {
  name: string;
  text: string;
  snapshot: string;
}

export interface NextOptions {
  /** Words for the file's name, instead of what changed. */
  title?: string | undefined;
  /** Squawk's rules that this migration breaks knowingly. */
  accept?: string[] | undefined;
}

/**
 * The migration from what the history makes to what the source says; null when they say the same. Writes nothing.
 * Throws a SourceError that lists every rule that the source breaks.
 */
export async function next(places: Places, { title, accept = [] }: NextOptions = {}): Promise<Next | null> {
  const source = readSource(places.sql);
  const history = readMigrations(places.migrations);
  const before = readSnapshot(join(places.migrations, "snapshot.json"));
  const after = snapshotOf(places.tables);
  const broken = refusals(source, after);
  if (broken.length > 0) {
    throw new SourceError(broken.join("\n"));
  }
  const found = await changes(history, source, before, after);
  const snapshot = snapshotText(after);
  if (found === null) {
    return null;
  }
  const number = String(Number(history.at(-1)?.name.slice(0, 4) ?? "0") + 1).padStart(4, "0");
  const words = (title ?? found.title).toLowerCase().replaceAll(/[^a-z0-9]+/g, "_");
  return { name: `${number}_${words}.sql`, text: compose(found, accept), snapshot };
}

/** Writes the next migration; null when there is nothing to write. */
export async function generate(places: Places, options?: NextOptions): Promise<Next | null> {
  const migration = await next(places, options);
  if (migration === null) {
    return null;
  }
  mkdirSync(places.migrations, { recursive: true });
  // Refused if another process wrote the same name meanwhile.
  writeFileSync(join(places.migrations, migration.name), migration.text, { flag: "wx" });
  writeFileSync(join(places.migrations, "snapshot.json"), migration.snapshot);
  return migration;
}

/** Throws the history away, so that the next migration is the first. For a version 0.x that nobody runs yet. */
export function squash(places: Places, version: string): void {
  if (!version.startsWith("0.")) {
    throw new Error(`Version ${version} is in use: its migrations are history, and history is not rewritten.`);
  }
  for (const { name } of readMigrations(places.migrations)) {
    rmSync(join(places.migrations, name));
  }
  rmSync(join(places.migrations, "snapshot.json"), { force: true });
}

/**
 * Lets `change` work on a copy of the history, writes down what the copy makes from zero (for `db:check` to hold any
 * database against), and only if that is what the source says, puts the copy in the history's place.
 */
async function tryFirst(places: Places, change: (copy: Places) => Promise<Next | null>): Promise<Next | null> {
  const { fromZero } = await import("./from-zero.ts");
  const copy = { ...places, migrations: mkdtempSync(join(tmpdir(), "tollgate-migrations-")) };
  try {
    mkdirSync(places.migrations, { recursive: true });
    cpSync(places.migrations, copy.migrations, { recursive: true });
    const migration = await change(copy);
    const lines = await fromZero(copy, async ({ migrated, source }) => {
      writeFileSync(join(copy.migrations, "catalogue.json"), catalogueText(migrated));
      return differences(source, migrated);
    });
    if (lines.length > 0) {
      throw new Error(["The migrations from zero do not make what the source says:", ...lines].join("\n"));
    }
    for (const { name } of readMigrations(places.migrations)) {
      rmSync(join(places.migrations, name));
    }
    cpSync(copy.migrations, places.migrations, { recursive: true });
    return migration;
  } finally {
    rmSync(copy.migrations, { recursive: true });
  }
}

const help = `npm run db:generate -- [--name words] [--accept rule]… [--check] [--squash]
  writes migrations/NNNN_words.sql: what db/schema and db/sql say and the migrations before do not.
  --accept  a rule of squawk's that this migration may break; npm run lint says which it breaks
  --check   writes nothing; exits 1 if there would be something to write
  --squash  only while the version is 0.x: throws all migrations away and writes one from zero. Every database that
            has run the old ones must be made anew (npm run dev -- --reset).`;

runAsCommand(import.meta, async () => {
  const { values } = parseArgs({
    options: {
      name: { type: "string" },
      accept: { type: "string", multiple: true },
      check: { type: "boolean" },
      squash: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    console.log(help);
    return;
  }
  const places = await ourPlaces();
  if (values.check === true) {
    const migration = await next(places);
    if (migration !== null) {
      throw new Error(`The source says more than the migrations: npm run db:generate would write ${migration.name}`);
    }
    return;
  }
  // Even if there is no migration to write: after a merge, catalogue.json is neither branch's.
  const migration = await tryFirst(places, async (copy) => {
    if (values.squash === true) {
      const manifest: unknown = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8"));
      squash(copy, z.looseObject({ version: z.string() }).parse(manifest).version);
    }
    return generate(copy, { title: values.name, accept: values.accept });
  });
  if (migration === null) {
    console.log("Nothing to write: the migrations say what the source says.");
    return;
  }
  console.log(`migrations/${migration.name}`);
  const warnings = squawk(migration.name, migration.text);
  if (warnings.length > 0) {
    console.warn(
      [...warnings, "Make it otherwise, or generate it again with --accept and the rule's name."].join("\n"),
    );
  }
});
