import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What a migration can freeze. `tables` is DDL and has no text to compare: `snapshot.json` does that. */
const kinds = ["defaults", "schema", "before", "tables", "routine", "view", "trigger", "data", "grant"] as const;
type Kind = (typeof kinds)[number];

/** A thing outside the tables that a migration makes, with the text that makes it. */
export interface Piece {
  kind: Kind;
  /** Schema-qualified, except a schema's own name. */
  name: string;
  text: string;
}

/** One file of `migrations/`. */
export interface Migration {
  /** The file's name, which is also its name in the ledger and its place in the order. */
  name: string;
  text: string;
  sha256: string;
}

const fileName = /^\d{4}_[a-z0-9_]+\.sql$/;

/** Each part of a migration opens with such a line; a later branch's generator and the runner read them. */
const marker = /^-- @(?:(?<verb>drop|alter) )?(?<kind>[a-z]+)(?: (?<names>.+))?$/;

/** The migrations of a folder, in the order they run. Throws at a file that is not one. */
export function readMigrations(directory: string): Migration[] {
  const names = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".sql")) : [];
  return names.toSorted().map((name) => {
    if (!fileName.test(name)) {
      throw new Error(`${join(directory, name)}: a migration is named 0001_lower_case_words.sql`);
    }
    // A checkout on Windows may have changed the ends of lines; the history is the same.
    const text = readFileSync(join(directory, name), "utf8").replaceAll("\r\n", "\n");
    return { name, text, sha256: createHash("sha256").update(text).digest("hex") };
  });
}

/** The line that opens a part: it makes a thing, drops one, or alters one to what its quoted lines say. */
export function opening(piece: Pick<Piece, "kind" | "name">, verb: "make" | "drop" | "alter" = "make"): string {
  return `-- @${verb === "make" ? "" : `${verb} `}${piece.kind}${piece.name === "" ? "" : ` ${piece.name}`}`;
}

/** A text that a part does not run but leaves behind: what an altered thing would be made with. */
export function quotedText(text: string): string {
  return text
    .split("\n")
    .map((line) => `-- | ${line}`.trimEnd())
    .join("\n");
}

/** Would this text be taken for the opening of a part? */
export function containsMarker(text: string): boolean {
  return text.split("\n").some((line) => marker.test(line));
}

/**
 * What all migrations together have frozen, by `key`. Nothing else remembers it, so two branches that each add a
 * migration merge without a conflict, and the generator sees the sum.
 */
export function frozen(migrations: Migration[]): Map<string, Piece> {
  const pieces = new Map<string, Piece>();
  for (const part of migrations.flatMap(partsOf)) {
    const made = part.verb === "alter" ? part.lines.flatMap(unquoted) : part.lines;
    const piece = { kind: part.kind, name: part.names, text: made.join("\n").trim() };
    if (part.verb === "drop") {
      pieces.delete(key(piece));
    } else if (part.kind !== "tables") {
      pieces.set(key(piece), piece);
    }
  }
  return pieces;
}

/** A line of `quotedText`, as it was; nothing for any other line. */
function unquoted(line: string): string[] {
  const quote = /^-- \|(?: (?<text>.*))?$/.exec(line);
  return quote === null ? [] : [quote.groups?.["text"] ?? ""];
}

/** What tells one piece from all others. */
export function key(piece: Pick<Piece, "kind" | "name">): string {
  return `${piece.kind} ${piece.name}`;
}

/**
 * The things that a migration touches, by name. Where two migrations share none, their order does not matter. A table
 * and the grant on it count as one; a schema and the default privileges are made the same way by everybody.
 */
export function touched(migration: Migration): Set<string> {
  const things = new Set<string>();
  for (const { kind, names } of partsOf(migration)) {
    if (kind === "tables" || kind === "grant") {
      for (const name of names.split(", ")) {
        things.add(`table ${name}`);
      }
    } else if (kind !== "schema" && kind !== "defaults") {
      things.add(`${kind === "before" ? "routine" : kind} ${names}`);
    }
  }
  return things;
}

interface Part {
  verb: string;
  kind: Kind;
  names: string;
  lines: string[];
}

function partsOf(migration: Migration): Part[] {
  const parts: Part[] = [];
  for (const line of migration.text.split("\n")) {
    const { verb, kind, names } = marker.exec(line)?.groups ?? {};
    if (kind === undefined) {
      parts.at(-1)?.lines.push(line);
      continue;
    }
    const known = kinds.find((one) => one === kind);
    if (known === undefined) {
      throw new Error(`migrations/${migration.name}: no part is called "${kind}"`);
    }
    parts.push({ verb: verb ?? "make", kind: known, names: names ?? "", lines: [] });
  }
  return parts;
}
