import type { SourceFile } from "./source.ts";
import { child, children, plpgsql, textOf, walk, words } from "./sql.ts";
import type { Body, Fragment, Statement, Tree } from "./sql.ts";

/** What the queries of a file must keep to, in whatever expression they stand; one line for each that does not. */
export function bodyRefusals(file: SourceFile, statement: Statement, domains: Set<string>): string[] {
  const lines = new Set<string>();
  const foreign = (schema: string) => schema !== file.domain && domains.has(schema);
  for (const fragment of fragmentsOf(statement, (line) => lines.add(line), foreign)) {
    const excerpt = fragment.text.replaceAll(/\s+/g, " ").trim().slice(0, 80);
    for (const line of [
      ...relationRefusals(fragment, foreign),
      ...timeRefusals(fragment.tree),
      ...others(fragment, file.domain),
    ]) {
      lines.add(`${line} (${excerpt})`);
    }
  }
  return [...lines];
}

/** The statement itself, and what its plpgsql body runs. */
function fragmentsOf(
  statement: Statement,
  refuse: (line: string) => void,
  foreign: (schema: string) => boolean,
): Fragment[] {
  const whole = [{ tree: { [statement.kind]: statement.tree }, text: statement.text }];
  const language = children(statement.tree, "options").find((option) => textOf(option, "defname") === "language");
  if (textOf(child(child(language ?? {}, "arg"), "String"), "sval") !== "plpgsql") {
    return whole;
  }
  let body: Body;
  try {
    body = plpgsql(statement.text);
  } catch (error) {
    // Postgres itself would say so only when the routine is first called.
    refuse(error instanceof Error ? error.message : String(error));
    return whole;
  }
  if (body.dynamic) {
    refuse("no SQL made from text (execute): nobody can say what it will touch");
  }
  for (const type of body.types) {
    if (foreign(type.split(".")[0] ?? "")) {
      refuse(`it declares ${type}, of another domain's table: take columns into variables of their own types`);
    }
  }
  return [...whole, ...body.fragments];
}

/** What a statement's trigger calls the rows before and after it: they have no schema, and hide no table. */
const transition = new Set(["old_rows", "new_rows"]);

function relationRefusals({ tree }: Fragment, foreign: (schema: string) => boolean): string[] {
  const lines: string[] = [];
  const own = new Set<string>();
  walk(tree, (kind, node) => {
    if (kind === "CommonTableExpr") {
      own.add(textOf(node, "ctename"));
    }
  });
  const relation = (node: Tree) => {
    const [schema, name] = [textOf(node, "schemaname"), textOf(node, "relname")];
    if (foreign(schema)) {
      lines.push(`${schema}.${name} is another domain's: call one of that domain's routines`);
    } else if (schema === "" && name !== "" && !own.has(name) && !name.startsWith("pg_") && !transition.has(name)) {
      lines.push(`${name} has no schema: with an empty search_path it is not found`);
    }
  };
  walk(tree, (kind, node) => {
    if (kind === "RangeVar" || (kind === "relation" && node["relname"] !== undefined)) {
      relation(node);
    }
  });
  return lines;
}

/** `now()` and its like stand still from the start of the statement: after a lock wait they let in what has expired. */
export function timeRefusals(tree: unknown): string[] {
  const lines: string[] = [];
  walk(tree, (kind, node) => {
    if (kind === "FuncCall") {
      const name = words(node, "funcname");
      const builtIn = name.length === 1 || name[0] === "pg_catalog";
      if (builtIn && frozenTimes.has(name.at(-1) ?? "")) {
        lines.push(`${name.join(".")}() is the statement's start: ops.now()`);
      }
    } else if (kind === "SQLValueFunction" && /TIME|DATE/.test(textOf(node, "op"))) {
      lines.push(`${textOf(node, "op").replace("SVFOP_", "").toLowerCase()} is the statement's start: ops.now()`);
    } else if (kind === "TypeCast") {
      const value = textOf(child(child(child(node, "arg"), "A_Const"), "sval"), "sval");
      const type = words(child(node, "typeName"), "names").at(-1) ?? "";
      if (/^(?:now|today|tomorrow|yesterday)$/i.test(value) && /^(?:time|date)/.test(type)) {
        lines.push(`'${value}' is read when the routine is planned: ops.now()`);
      }
    }
  });
  return lines;
}

const frozenTimes = new Set(["now", "transaction_timestamp", "statement_timestamp", "timeofday"]);

function others({ tree }: Fragment, domain: string): string[] {
  const lines: string[] = [];
  walk(tree, (kind, node) => {
    if (node["limitOffset"] !== undefined) {
      lines.push("no OFFSET: its cost grows with the page, and rows slip between pages; go on from a key");
    }
    if (kind === "FuncCall") {
      const name = words(node, "funcname").at(-1) ?? "";
      if (/^pg_(?:try_)?advisory_(?:un)?lock/.test(name)) {
        lines.push(`${name} belongs to the session, which over HTTP is anybody's: pg_advisory_xact_lock`);
      }
      if (name === "clock_timestamp" && domain !== "ops") {
        lines.push("clock_timestamp() does not know the local stack's offset: ops.now()");
      }
    }
    if (kind === "TransactionStmt") {
      lines.push("it is part of its caller's transaction and does not end it");
    }
  });
  return lines;
}
