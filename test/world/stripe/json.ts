/** An object of JSON. */
export type Json = Record<string, unknown>;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object as JSON has it: a copy, without what JSON has no word for. */
export function jsonOf(value: object): Json {
  return parseObject(JSON.stringify(value));
}

/** The object that a text has. */
export function parseObject(text: string): Json {
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) {
    throw new SyntaxError("The text is JSON, but no object.");
  }
  return value;
}
