import { invalid } from "./failure.ts";

type Tree = { [name: string]: Tree | string };

/** What a form may say; more would be a mistake, and a tree without a limit is an attack. */
const maxDepth = 8;

/** Reads `a[b][0][c]=x`, as forms and query strings of Stripe's are written, into a tree. `a[]=x` counts up by itself. */
function parse(form: URLSearchParams): Tree {
  const tree: Tree = Object.create(null);
  for (const [name, value] of form) {
    const path = [/^[^[]*/.exec(name)?.[0] ?? "", ...[...name.matchAll(/\[([^\]]*)\]/g)].map(([, part]) => part ?? "")];
    if (path.length > maxDepth) {
      throw invalid(`Invalid request: too many brackets in ${name}`, name);
    }
    let place = tree;
    for (const [i, part] of path.entries()) {
      const key = part === "" ? String(Object.keys(place).length) : part;
      if (i === path.length - 1) {
        place[key] = value;
      } else {
        const found = place[key];
        const inner: Tree = typeof found === "object" ? found : Object.create(null);
        place[key] = inner;
        place = inner;
      }
    }
  }
  return tree;
}

/** The parameters of a call, each read as what it should be; what it cannot be is refused by name. */
export class Params {
  readonly #tree: Tree;
  readonly #path: string;

  constructor(tree: Tree, path = "") {
    this.#tree = tree;
    this.#path = path;
  }

  static of(form: URLSearchParams): Params {
    return new Params(parse(form));
  }

  names(): string[] {
    return Object.keys(this.#tree);
  }

  has(name: string): boolean {
    return this.#tree[name] !== undefined;
  }

  /** Whether a parameter is there as one value, with none inside of it. */
  isPlain(name: string): boolean {
    return typeof this.#tree[name] === "string";
  }

  /** The full name of a parameter, as an error's `param` has it. */
  nameOf(name: string): string {
    return this.#path === "" ? name : `${this.#path}[${name}]`;
  }

  /** A text; undefined when it is not there. An empty text is there: it unsets. */
  text(name: string): string | undefined {
    const value = this.#tree[name];
    if (typeof value === "object") {
      throw invalid(`Invalid string: ${this.nameOf(name)}`, this.nameOf(name));
    }
    return value;
  }

  /** A text that may be unset by an empty one. */
  clearable(name: string): string | null | undefined {
    const value = this.text(name);
    return value === "" ? null : value;
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === undefined || value === "") {
      throw invalid(`Missing required param: ${this.nameOf(name)}.`, this.nameOf(name), "parameter_missing");
    }
    return value;
  }

  integer(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined || value === "") {
      return undefined;
    }
    if (!/^-?\d{1,15}$/.test(value)) {
      throw invalid(`Invalid integer: ${value}`, this.nameOf(name), "parameter_invalid_integer");
    }
    return Number(value);
  }

  flag(name: string): boolean | undefined {
    const value = this.text(name);
    if (value === undefined || value === "") {
      return undefined;
    }
    if (value !== "true" && value !== "false") {
      throw invalid(`Invalid boolean: ${value}`, this.nameOf(name));
    }
    return value === "true";
  }

  /** One of a few words. */
  one<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const value = this.text(name);
    const word = words.find((candidate) => candidate === value);
    if (value !== undefined && word === undefined) {
      throw invalid(`Invalid ${this.nameOf(name)}: must be one of ${words.join(", ")}`, this.nameOf(name));
    }
    return word;
  }

  /** The parameters inside of one; undefined when it is not there, or unset by an empty text. */
  inside(name: string): Params | undefined {
    const value = this.#tree[name];
    if (typeof value === "string" && value !== "") {
      throw invalid(`Invalid object: ${this.nameOf(name)}`, this.nameOf(name));
    }
    return typeof value === "object" ? new Params(value, this.nameOf(name)) : undefined;
  }

  /** The parameters inside of each of a list's, in the order of their numbers. */
  each(name: string): Params[] {
    const value = this.#tree[name];
    if (typeof value !== "object") {
      return [];
    }
    const path = this.nameOf(name);
    return Object.entries(value)
      .toSorted(([a], [b]) => Number(a) - Number(b))
      .map(([key, inner]) => {
        if (typeof inner !== "object") {
          throw invalid(`Invalid object: ${path}[${key}]`, path);
        }
        return new Params(inner, `${path}[${key}]`);
      });
  }

  texts(name: string): string[] {
    const value = this.#tree[name];
    if (typeof value !== "object") {
      return value === undefined || value === "" ? [] : [value];
    }
    return Object.values(value).filter((inner) => typeof inner === "string");
  }

  /** Metadata after this call: what was there, with the given keys written, or taken out by an empty text. */
  metadata(name: string, before: Record<string, string> | null = null): Record<string, string> {
    const value = this.#tree[name];
    if (typeof value !== "object") {
      return value === "" ? {} : { ...before };
    }
    const metadata = { ...before };
    for (const [key, text] of Object.entries(value)) {
      if (typeof text !== "string" || key.length > 40 || text.length > 500) {
        throw invalid(`Invalid metadata: ${key} (keys to 40, values to 500 characters)`, this.nameOf(name));
      }
      if (text === "") {
        delete metadata[key];
      } else {
        metadata[key] = text;
      }
    }
    if (Object.keys(metadata).length > 50) {
      throw invalid("You can only attach 50 metadata keys.", this.nameOf(name));
    }
    return metadata;
  }

  /** As plain JSON, for the log of calls. */
  toJSON(): unknown {
    return JSON.parse(JSON.stringify(this.#tree)) as unknown;
  }
}
