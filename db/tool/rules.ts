import { containsMarker } from "./history.ts";
import { bodyRefusals, timeRefusals } from "./body-rules.ts";
import { callers, createdName, headerOf, isForWorker } from "./source.ts";
import type { SourceFile } from "./source.ts";
import { child, children, endsComplete, statements, textOf } from "./sql.ts";
import type { Statement, Tree } from "./sql.ts";
import type { Snapshot } from "./tables.ts";

/** What the source must keep to; one line for each place that does not, and how to mend it. */
export function refusals(source: SourceFile[], tables: Snapshot): string[] {
  const domains = new Set(source.map((file) => file.domain));
  for (const schema of Object.values(tables.schemas)) {
    domains.add(schema);
  }
  return [
    ...source.flatMap((file) => fileRefusals(file, domains, tables).map((line) => `${file.path}: ${line}`)),
    ...twice(source),
    ...defaults(tables),
  ];
}

function fileRefusals(file: SourceFile, domains: Set<string>, tables: Snapshot): string[] {
  const own = `${file.domain}.${file.name}`;
  const lines: string[] = [];
  if (!Object.values(tables.schemas).includes(file.domain)) {
    lines.push(`no schema is called ${file.domain}; db/schema says which there are`);
  }
  if (!headerOf(file)[0]?.startsWith(`-- ${own}: `)) {
    lines.push(`it opens with its contract: "-- ${own}: what it does"`);
  }
  if (containsMarker(file.text)) {
    lines.push(`a line that begins with "-- @" would be taken for a migration's own`);
  }
  if (!endsComplete(file.text)) {
    lines.push("it ends with a semicolon");
  }
  if (file.kind === "data") {
    return [...lines, ...file.statements.flatMap((statement) => bodyRefusals(file, statement, domains))];
  }
  const [statement, second] = file.statements;
  if (statement === undefined || second !== undefined) {
    return [...lines, `one statement, not ${file.statements.length}`];
  }
  const created = createdName(file.kind, statement);
  if (created !== own) {
    lines.push(created === null ? `it is no plain "create ${makes[file.kind]}"` : `it creates ${created}, not ${own}`);
    return lines;
  }
  if (statement.kind === "CreateDomainStmt") {
    return [...lines, ...domainRefusals(statement)];
  }
  if (statement.tree["replace"] !== true && statement.tree["isconstraint"] !== true) {
    lines.push("create or replace: the text must be fit to run again");
  }
  return [...lines, ...shapeRefusals(file, statement), ...bodyRefusals(file, statement, domains)];
}

const makes: Record<SourceFile["kind"], string> = {
  before: "or replace function, or create domain (a later change of its checks becomes alter domain)",
  data: "or fill",
  routine: "or replace function or procedure",
  trigger: "or replace trigger",
  view: "or replace view",
};

/** Only a named check can be changed later, and only a name tells a client which limit it met. */
function domainRefusals(statement: Statement): string[] {
  const unnamed = children(statement.tree, "constraints").filter(
    (constraint) => textOf(constraint, "contype") === "CONSTR_CHECK" && textOf(constraint, "conname") === "",
  );
  return unnamed.map(() => "a domain's check has a name: constraint <name> check (…)");
}

/** Rules of one kind of object. */
function shapeRefusals(file: SourceFile, statement: Statement): string[] {
  if (file.kind === "view") {
    return invokerView(statement.tree) ? [] : ["with (security_invoker = true): else it reads as its owner"];
  }
  if (file.kind === "trigger") {
    return [];
  }
  const lines: string[] = [];
  const callersLine = callers(file);
  if (callersLine === null || callersLine === "") {
    lines.push(`its header says who calls it: "-- Callers: worker, ${file.domain}.other"`);
  }
  const options = children(statement.tree, "options");
  const option = (name: string) => options.find((one) => textOf(one, "defname") === name);
  const language = textOf(child(child(option("language") ?? {}, "arg"), "String"), "sval");
  if (language !== "plpgsql") {
    lines.push(`language plpgsql, not ${language === "" ? "none" : language}`);
  }
  if (!emptySearchPath(options)) {
    lines.push("set search_path = '': else a temporary table can stand in for a real one");
  }
  const returned = child(statement.tree, "returnType");
  const table = children(statement.tree, "parameters").some((one) => textOf(one, "mode") === "FUNC_PARAM_TABLE");
  if (isForWorker(file) && (returned["setof"] === true || table)) {
    lines.push("the Worker calls it, so it returns one row of OUT columns; a list in it is an array column");
  }
  return lines;
}

function invokerView(view: Tree): boolean {
  const option = children(view, "options").find((one) => textOf(one, "defname") === "security_invoker");
  if (option === undefined) {
    return false;
  }
  const value = child(child(option, "arg"), "String");
  return option["arg"] === undefined || ["true", "on"].includes(textOf(value, "sval"));
}

function emptySearchPath(options: Tree[]): boolean {
  return options.some((option) => {
    const set = child(child(option, "arg"), "VariableSetStmt");
    const values = children(set, "args");
    const [value] = values;
    return (
      textOf(set, "name") === "search_path" &&
      values.length === 1 &&
      value !== undefined &&
      // The parser leaves an empty text out of its node: `{ sval: {} }`.
      value["sval"] !== undefined &&
      textOf(child(value, "sval"), "sval") === ""
    );
  });
}

/** Two files that make one object; for routines that would be an overload, or one replacing the other in silence. */
function twice(source: SourceFile[]): string[] {
  const seen = new Map<string, SourceFile>();
  return source.flatMap((file) => {
    const kind = file.kind === "before" ? "routine" : file.kind;
    const first = seen.get(`${kind} ${file.domain}.${file.name}`);
    seen.set(`${kind} ${file.domain}.${file.name}`, file);
    return first === undefined ? [] : [`${file.path}: ${first.path} makes the same ${kind}`];
  });
}

/** A default of `now()` is the statement's start, whatever waited since. */
function defaults(tables: Snapshot): string[] {
  return Object.values(tables.tables).flatMap((table) =>
    Object.values(table.columns).flatMap((column) => {
      const expression = column.default;
      if (typeof expression !== "string") {
        return [];
      }
      const place = `db/schema: the default of ${table.schema}.${table.name}.${column.name}: `;
      return timeRefusals(statements(`select ${expression}`)).map((line) => place + line);
    }),
  );
}
