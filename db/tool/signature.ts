import { child, children, statements, textOf, words } from "./sql.ts";
import type { Statement, Tree } from "./sql.ts";

/** An argument of a routine, as its signature counts it. */
interface Argument {
  mode: "in" | "out" | "inout" | "variadic" | "table";
  name: string;
  type: string;
  optional: boolean;
}

/** What a caller, a grant and CREATE OR REPLACE see of a routine. */
export interface Signature {
  kind: "function" | "procedure";
  schema: string;
  name: string;
  arguments: Argument[];
  returns: string | null;
}

/** The signature of a `create function` or `create procedure` statement. */
export function signatureOf(statement: Statement): Signature {
  const { tree } = statement;
  const name = words(tree, "funcname");
  return {
    kind: tree["is_procedure"] === true ? "procedure" : "function",
    schema: name.length > 1 ? (name[0] ?? "") : "",
    name: name.at(-1) ?? "",
    arguments: children(tree, "parameters").map((parameter) => ({
      mode: modes[textOf(parameter, "mode")] ?? "in",
      name: textOf(parameter, "name"),
      type: typeName(child(parameter, "argType")),
      optional: parameter["defexpr"] !== undefined,
    })),
    returns: tree["returnType"] === undefined ? null : typeName(child(tree, "returnType")),
  };
}

/** The signature of the one routine that a text creates; null where it creates none. */
export function routineIn(text: string): Signature | null {
  const created = statements(text).find((statement) => statement.kind === "CreateFunctionStmt");
  return created === undefined ? null : signatureOf(created);
}

/** How DROP, GRANT and REVOKE name it: `function "ledger"."spend"(uuid, text, bigint)`. */
export function reference(routine: Signature): string {
  const types = inputs(routine).map((argument) => (argument.mode === "variadic" ? "variadic " : "") + argument.type);
  return `${routine.kind} ${quoted(routine.schema, routine.name)}(${types.join(", ")})`;
}

/** A name that is safe as an identifier whatever its words mean to Postgres. */
export function quoted(...names: string[]): string {
  return names.map((name) => `"${name.replaceAll('"', '""')}"`).join(".");
}

/**
 * May CREATE OR REPLACE turn one into the other? It may not change a type (42P13, or an overload), rename an argument,
 * or take a default away (42P13).
 */
export function isReplaceable(from: Signature, to: Signature): boolean {
  const shape = (routine: Signature) =>
    JSON.stringify([
      routine.kind,
      routine.returns,
      routine.arguments.map(({ mode, name, type }) => [mode, name, type]),
    ]);
  return shape(from) === shape(to) && from.arguments.every((old, i) => !old.optional || to.arguments[i]?.optional);
}

function inputs(routine: Signature): Argument[] {
  return routine.arguments.filter((argument) => ["in", "inout", "variadic"].includes(argument.mode));
}

const modes: Record<string, Argument["mode"]> = {
  FUNC_PARAM_IN: "in",
  FUNC_PARAM_OUT: "out",
  FUNC_PARAM_INOUT: "inout",
  FUNC_PARAM_VARIADIC: "variadic",
  FUNC_PARAM_TABLE: "table",
  FUNC_PARAM_DEFAULT: "in",
};

/** Postgres's internal names of types, in the words that people write. */
const plain: Record<string, string> = {
  bool: "boolean",
  bpchar: "char",
  float4: "real",
  float8: "double precision",
  int2: "smallint",
  int4: "integer",
  int8: "bigint",
};

/** A type as a signature names it: lengths and precisions do not count. */
function typeName(type: Tree): string {
  const names = words(type, "names");
  const own = names[0] === "pg_catalog" ? names.slice(1) : names;
  const base = own.length === 1 ? (plain[own[0] ?? ""] ?? own[0] ?? "") : quoted(...own);
  return (
    (type["setof"] === true ? "setof " : "") +
    base +
    (type["pct_type"] === true ? "%type" : "") +
    "[]".repeat(children(type, "arrayBounds").length)
  );
}
