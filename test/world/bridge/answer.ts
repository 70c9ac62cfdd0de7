import { DatabaseError } from "pg";
import type { Field, StatementResult } from "./statement.ts";

/** A refusal of the bridge itself, as opposed to one of Postgres: its `code` is empty. */
export class BridgeError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, message: string, code = "") {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** An HTTP answer before it is sent. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/**
 * What Neon says of an error: 400 and every field of Postgres's; without Postgres's word, an empty `code`, which is also
 * what a connection lost at COMMIT looks like.
 */
export function errorAnswer(error: unknown): Answer {
  const fields = error instanceof DatabaseError ? error : undefined;
  return {
    status: error instanceof BridgeError ? error.status : 400,
    headers: {},
    body: JSON.stringify({
      message: error instanceof Error ? error.message : String(error),
      code: fields?.code ?? (error instanceof BridgeError ? error.code : ""),
      detail: fields?.detail ?? null,
      hint: fields?.hint ?? null,
      position: fields?.position ?? null,
      internalPosition: fields?.internalPosition ?? null,
      internalQuery: fields?.internalQuery ?? null,
      severity: fields?.severity ?? "",
      where: fields?.where ?? null,
      table: fields?.table ?? null,
      column: fields?.column ?? null,
      schema: fields?.schema ?? null,
      dataType: fields?.dataType ?? null,
      constraint: fields?.constraint ?? null,
      file: fields?.file ?? null,
      line: fields?.line ?? null,
      routine: fields?.routine ?? null,
    }),
  };
}

/** One statement's result as JSON text. */
export function resultText(result: StatementResult, rawText: boolean, arrayMode: boolean): string {
  const { fields } = result;
  const rows =
    rawText && arrayMode
      ? JSON.stringify(result.rows)
      : `[${result.rows.map((row) => rowText(row, fields, rawText, arrayMode)).join(",")}]`;
  const [command, rowCount] = readTag(result.tag);
  const meta = JSON.stringify({ command, rowCount }).slice(1);
  return `{"rowAsArray":${arrayMode},"fields":${JSON.stringify(fields)},"rows":${rows},${meta}`;
}

function rowText(row: (string | null)[], fields: Field[], rawText: boolean, arrayMode: boolean): string {
  const values = row.map((value, i) => {
    if (value === null) {
      return "null";
    }
    return rawText ? JSON.stringify(value) : jsonOf(value, fields[i]?.dataTypeID ?? 0);
  });
  return arrayMode
    ? `[${values.join(",")}]`
    : `{${values.map((value, i) => `${JSON.stringify(fields[i]?.name)}:${value}`).join(",")}}`;
}

/** `INSERT 0 3` has an object id before its count; `CREATE TABLE` has no count at all. */
function readTag(tag: string): [command: string, rowCount: number | null] {
  const [command = "", ...words] = tag.split(" ");
  const count = command === "INSERT" ? words[1] : words.join(" ");
  return [command, count !== undefined && /^\d+$/.test(count) ? Number(count) : null];
}

const bool = 16;
const integers = new Set([21, 23]);
const floats = new Set([700, 701]);
const jsons = new Set([114, 3802]);

/** Element types of Postgres's array types, where the element is not simply a string in JSON. */
const elementOf = new Map([
  [1000, bool],
  [1005, 21],
  [1007, 23],
  [1021, 700],
  [1022, 701],
  [199, 114],
  [3807, 3802],
]);

/** The other built-in array types that this project meets: char, text, bpchar, varchar, int8, date, times, numeric, uuid. */
const arraysOfText = new Set([1002, 1009, 1014, 1015, 1016, 1182, 1183, 1115, 1185, 1270, 1187, 1231, 2951, 1001]);

/** A value as JSON text by its type: what a client gets that does not ask for raw text. */
function jsonOf(text: string, type: number): string {
  const element = elementOf.get(type);
  if (element !== undefined || arraysOfText.has(type)) {
    return arrayJson(text, element ?? 0);
  }
  if (type === bool) {
    return String(text === "t");
  }
  if (integers.has(type) || jsons.has(type)) {
    return text;
  }
  // NaN and the infinities are no JSON, and a client must not take them for null.
  return floats.has(type) && Number.isFinite(Number(text)) ? String(Number(text)) : JSON.stringify(text);
}

/** An array literal (`{1,NULL,{"a b"}}`) as a JSON array. Bounds before the braces have no place in JSON and go. */
function arrayJson(literal: string, element: number): string {
  const tokens = literal.slice(literal.indexOf("{")).matchAll(/[{},]|"((?:[^"\\]|\\.)*)"|[^{},"]+/g);
  let json = "";
  for (const [token, quoted] of tokens) {
    if (token === "{" || token === "}" || token === ",") {
      json += token === "{" ? "[" : token === "}" ? "]" : ",";
    } else if (quoted === undefined && token === "NULL") {
      json += "null";
    } else {
      json += jsonOf(quoted === undefined ? token : quoted.replaceAll(/\\(.)/g, "$1"), element);
    }
  }
  return json;
}
