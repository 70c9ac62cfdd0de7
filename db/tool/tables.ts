import { existsSync, readFileSync } from "node:fs";
import { generateDrizzleJson, generateMigration } from "drizzle-kit/api";
import * as z from "zod";
import type { Piece } from "./history.ts";
import { workerRole } from "./role.ts";
import { quoted } from "./signature.ts";
import { SourceError } from "./source.ts";
import { children, relationOf, statements, words } from "./sql.ts";
import type { Statement } from "./sql.ts";

/** What is read here of a snapshot; drizzle-kit reads the rest. */
const snapshotShape = z.looseObject({
  tables: z.record(
    z.string(),
    z.looseObject({
      name: z.string(),
      schema: z.string(),
      columns: z.record(z.string(), z.looseObject({ name: z.string(), default: z.unknown().optional() })),
    }),
  ),
  schemas: z.record(z.string(), z.string()),
});

/** The tables of db/schema as drizzle-kit sees them. `migrations/snapshot.json` is the one that is migrated already. */
export type Snapshot = z.infer<typeof snapshotShape>;

/** Columns that the Worker's role may not even read. */
const withheld: Record<string, string[]> = { "people.api_key": ["hash"] };

/** The snapshot of what db/schema/index.ts exports. The same tables give the same bytes on every machine. */
export function snapshotOf(exports: Record<string, unknown>): Snapshot {
  // drizzle-kit gives each snapshot a random id and the id of its parent, which would make two branches conflict.
  return snapshotShape.parse({ ...generateDrizzleJson(exports), id: none, prevId: none });
}

/** The snapshot that was last written, or an empty one. */
export function readSnapshot(path: string): Snapshot {
  return existsSync(path) ? snapshotShape.parse(JSON.parse(readFileSync(path, "utf8"))) : snapshotOf({});
}

/** How a snapshot is kept in its file. */
export function snapshotText(snapshot: Snapshot): string {
  return `${JSON.stringify(snapshot, null, 1)}\n`;
}

/** DDL that takes the tables from one snapshot to the other, and the tables that it touches. */
export async function tableChanges(from: Snapshot, to: Snapshot): Promise<{ ddl: string[]; tables: string[] }> {
  const ddl: string[] = [];
  const tables = new Set<string>();
  for (const text of await generated(from, to)) {
    for (const statement of read(text)) {
      // Schemas are pieces of their own, with their privileges.
      if (statement.kind === "CreateSchemaStmt") {
        continue;
      }
      ddl.push(`${statement.text};`);
      for (const table of touchedBy(statement)) {
        tables.add(table);
      }
    }
  }
  return { ddl, tables: [...tables].toSorted() };
}

/** Who may read each table: a piece for each, so that a new column or a new table never goes without its grant. */
export function grants(snapshot: Snapshot): Piece[] {
  return Object.values(snapshot.tables)
    .map((table) => {
      const name = `${table.schema}.${table.name}`;
      const secret = withheld[name];
      const columns = Object.values(table.columns).map((column) => column.name);
      const readable = columns.filter((column) => !secret?.includes(column)).toSorted();
      const what = secret === undefined ? "select" : `select (${readable.map((column) => quoted(column)).join(", ")})`;
      const on = quoted(table.schema, table.name);
      return {
        kind: "grant" as const,
        name,
        text: `revoke all on ${on} from public, ${workerRole};\ngrant ${what} on ${on} to ${workerRole};`,
      };
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** The schemas, made so that the runner's own `ops` is no obstacle. */
export function schemas(snapshot: Snapshot): Piece[] {
  return Object.values(snapshot.schemas)
    .toSorted()
    .map((name) => ({
      kind: "schema" as const,
      name,
      text: `create schema if not exists ${quoted(name)};\ngrant usage on schema ${quoted(name)} to ${workerRole};`,
    }));
}

const none = "00000000-0000-0000-0000-000000000000";

async function generated(from: Snapshot, to: Snapshot): Promise<string[]> {
  try {
    return (await generateMigration(from, to)).map((ddl) => typeNames(ddl));
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("Interactive prompts require a TTY")) {
      throw new Error(
        "Something was added and something of the same kind was dropped: drizzle-kit asks whether that is a rename, " +
          "and there is no terminal to ask in. Run db:generate in a terminal, or add in one migration and drop in another.",
        { cause: error },
      );
    }
    throw error;
  }
}

/** drizzle-kit quotes a custom type as if it were one name: "ledger.word" is the domain word of the schema ledger. */
function typeNames(ddl: string): string {
  return ddl.replaceAll(/"([a-z_]+)\.([a-z_]+)"/g, '"$1"."$2"');
}

/** drizzle-kit copies expressions as they stand, so what it writes may be no SQL. */
function read(ddl: string): Statement[] {
  try {
    return statements(ddl);
  } catch (error) {
    throw new SourceError(`db/schema: ${error instanceof Error ? error.message : String(error)} of\n${ddl}`, {
      cause: error,
    });
  }
}

function touchedBy(statement: Statement): string[] {
  const { tree } = statement;
  const { schema, name } = relationOf(tree, "relation");
  if (name !== "") {
    return [`${schema}.${name}`];
  }
  if (statement.kind === "DropStmt") {
    return children(tree, "objects").map((object) => words(object, "items").join("."));
  }
  throw new Error(`drizzle-kit wrote DDL that the generator does not know: ${statement.text}`);
}
