import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Piece } from "./history.ts";
import { workerRole } from "./role.ts";
import { quoted, reference, signatureOf } from "./signature.ts";
import { relationOf, statements, textOf, walk, words } from "./sql.ts";
import type { Statement } from "./sql.ts";

/** What a file of `db/sql` holds; the ending of its name says it. */
export type FileKind = (typeof fileKinds)[number];
const fileKinds = ["before", "routine", "view", "trigger", "data"] as const;

/** One file of `db/sql/<domain>/`. */
export interface SourceFile {
  /** As a message names it: `db/sql/ledger/spend.sql`. */
  path: string;
  kind: FileKind;
  /** The folder, which is the schema. */
  domain: string;
  /** The file's name without endings, which is the object's name. */
  name: string;
  text: string;
  statements: Statement[];
}

/** A file that is not what its place and name say. */
export class SourceError extends Error {}

/** Reads `db/sql`, by domain and name. Throws a SourceError at a file that Postgres cannot read. */
export function readSource(directory: string): SourceFile[] {
  if (!existsSync(directory)) {
    return [];
  }
  const files: SourceFile[] = [];
  for (const domain of readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    for (const file of readdirSync(join(directory, domain.name))) {
      if (file.endsWith(".sql")) {
        files.push(readFile(directory, domain.name, file));
      }
    }
  }
  // By code units, not by a locale's rules: the order must be the same on every machine.
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function readFile(directory: string, domain: string, file: string): SourceFile {
  const path = `db/sql/${domain}/${file}`;
  const { name, ending = "routine" } =
    /^(?<name>[a-z][a-z0-9_]*)(?:\.(?<ending>before|view|trigger|data))?\.sql$/.exec(file)?.groups ?? {};
  const kind = fileKinds.find((one) => one === ending);
  if (name === undefined || kind === undefined) {
    throw new SourceError(`${path}: a file is named <object>.sql, or <object>.before|view|trigger|data.sql`);
  }
  const text = readFileSync(join(directory, domain, file), "utf8")
    .replaceAll("\r\n", "\n")
    .trim();
  try {
    return { path, kind, domain, name, text, statements: statements(text) };
  } catch (error) {
    throw new SourceError(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** What a migration freezes of a file: its text, and who may use what it makes. */
export function pieceOf(file: SourceFile): Piece {
  return { kind: file.kind, name: `${file.domain}.${file.name}`, text: [file.text, ...privileges(file)].join("\n") };
}

/** The lines of a header that name who calls a routine. */
export function callers(file: SourceFile): string | null {
  const header = headerOf(file).join("\n");
  const found = /^-- (?:.* )?Callers:(?<names>.*(?:\n-- {3,}.*)*)/m.exec(header);
  return found?.groups?.["names"]?.replaceAll(/\n--/g, " ").trim() ?? null;
}

/** Does the Worker's role call this routine itself? */
export function isForWorker(file: SourceFile): boolean {
  return (callers(file) ?? "").split(",").some((caller) => /^worker\b/.test(caller.trim()));
}

/** The comment that a file opens with. */
export function headerOf(file: SourceFile): string[] {
  const lines = file.text.split("\n");
  const end = lines.findIndex((line) => !line.startsWith("--"));
  return end === -1 ? lines : lines.slice(0, end);
}

/** The table or view that a trigger file's trigger stands on, quoted. */
export function triggerTable(statement: Statement): string {
  const { schema, name } = relationOf(statement.tree, "relation");
  return quoted(schema, name);
}

/** Views after the views that they read, otherwise by name. */
export function inOrder(views: SourceFile[]): SourceFile[] {
  const sorted: SourceFile[] = [];
  const add = (view: SourceFile, path: SourceFile[]) => {
    if (sorted.includes(view) || path.includes(view)) {
      return;
    }
    const read = new Set<string>();
    walk(view.statements[0]?.tree["query"], (kind, node) => {
      if (kind === "RangeVar") {
        read.add(`${textOf(node, "schemaname")}.${textOf(node, "relname")}`);
      }
    });
    for (const other of views.filter((one) => read.has(`${one.domain}.${one.name}`))) {
      add(other, [...path, view]);
    }
    sorted.push(view);
  };
  for (const view of views) {
    add(view, []);
  }
  return sorted;
}

function privileges(file: SourceFile): string[] {
  const [statement] = file.statements;
  if (statement === undefined) {
    return [];
  }
  if (statement.kind === "CreateFunctionStmt") {
    const routine = reference(signatureOf(statement));
    return [
      `revoke all on ${routine} from public, ${workerRole};`,
      ...(isForWorker(file) ? [`grant execute on ${routine} to ${workerRole};`] : []),
    ];
  }
  if (file.kind === "view") {
    const view = quoted(file.domain, file.name);
    return [`revoke all on ${view} from public, ${workerRole};`, `grant select on ${view} to ${workerRole};`];
  }
  return [];
}

/** The name that a statement gives to what it makes, by its kind of file; null for any other statement. */
export function createdName(kind: FileKind, statement: Statement): string | null {
  const { tree } = statement;
  if ((kind === "routine" || kind === "before") && statement.kind === "CreateFunctionStmt") {
    return words(tree, "funcname").join(".");
  }
  if (kind === "before" && statement.kind === "CreateDomainStmt") {
    return words(tree, "domainname").join(".");
  }
  if (kind === "view" && statement.kind === "ViewStmt") {
    const { schema, name } = relationOf(tree, "view");
    return `${schema}.${name}`;
  }
  if (kind === "trigger" && statement.kind === "CreateTrigStmt") {
    return `${relationOf(tree, "relation").schema}.${textOf(tree, "trigname")}`;
  }
  return null;
}
