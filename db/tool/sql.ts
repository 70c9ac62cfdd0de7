import { hasSqlDetails, loadModule, parsePlPgSQLSync, parseSync, scanSync } from "libpg-query";

// Postgres's own parser, compiled to WebAssembly: what it reads is what the server will read.
await loadModule();

/** A node of the parse tree: `{ SelectStmt: { … } }` and everything below it. */
export type Tree = { readonly [member: string]: unknown };

/** One statement of a text: what kind it is, its tree, and its own text without the comments before it. */
export interface Statement {
  kind: string;
  tree: Tree;
  text: string;
  /** The byte of the whole text at which `text` begins: the places in the tree count from the whole text's first. */
  offset: number;
}

/** The statements of a text, in order. Throws with the line where Postgres would have refused it. */
export function statements(text: string): Statement[] {
  const bytes = Buffer.from(text);
  // The parser refuses an empty text.
  return text.trim() === ""
    ? []
    : (parsed(text).stmts ?? []).map((raw) => {
        const [kind, tree] = only(raw.stmt);
        const from = raw.stmt_location ?? 0;
        // The parser counts bytes. A length of 0 means: to the end.
        const to = raw.stmt_len === undefined || raw.stmt_len === 0 ? bytes.length : from + raw.stmt_len;
        const own = bytes.subarray(from, to).toString();
        return { kind, tree, text: own.trim(), offset: from + own.length - own.trimStart().length };
      });
}

/** Does the last statement of a text end with its semicolon, so that another may follow? */
export function endsComplete(text: string): boolean {
  const comments = new Set(["SQL_COMMENT", "C_COMMENT"]);
  return scanSync(text).tokens.findLast((token) => !comments.has(token.tokenName))?.text === ";";
}

function parsed(text: string): ReturnType<typeof parseSync> {
  try {
    return parseSync(text);
  } catch (error) {
    if (hasSqlDetails(error) && error.sqlDetails !== undefined) {
      const line = text.slice(0, error.sqlDetails.cursorPosition).split("\n").length;
      throw new Error(`line ${line}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** Visits every node of a tree, the outer ones first. */
export function walk(tree: unknown, visit: (kind: string, node: Tree) => void): void {
  if (Array.isArray(tree)) {
    for (const item of tree) {
      walk(item, visit);
    }
  } else if (isTree(tree)) {
    for (const [kind, node] of Object.entries(tree)) {
      if (isTree(node)) {
        visit(kind, node);
      }
      walk(node, visit);
    }
  }
}

/** A member that is a node; an empty one if there is none. */
export function child(tree: Tree, member: string): Tree {
  const node = tree[member];
  return isTree(node) ? node : {};
}

/** A member that is a list of nodes, each without the name of its kind. */
export function children(tree: Tree, member: string): Tree[] {
  const list: unknown = tree[member];
  return Array.isArray(list) ? list.map((item) => only(item)[1]) : [];
}

/** A member that is a text; an empty one if there is none. */
export function textOf(tree: Tree, member: string): string {
  const text = tree[member];
  return typeof text === "string" ? text : "";
}

/** A member that is a qualified name, as its words: `ledger.spend` → `["ledger", "spend"]`. */
export function words(tree: Tree, member: string): string[] {
  return children(tree, member).map((word) => textOf(word, "sval"));
}

/** The schema and the name of the relation that a member refers to. */
export function relationOf(tree: Tree, member: string): { schema: string; name: string } {
  const relation = child(tree, member);
  return { schema: textOf(relation, "schemaname"), name: textOf(relation, "relname") };
}

/** What a plpgsql body runs: each query and expression as a statement's tree, with the line it begins on. */
export interface Fragment {
  tree: unknown;
  text: string;
}

/** A plpgsql body, taken apart. */
export interface Body {
  fragments: Fragment[];
  /** Types that variables are declared with: `ledger.account%rowtype`. */
  types: string[];
  /** Does it build SQL from text (`execute`)? Nothing can be said of that before it runs. */
  dynamic: boolean;
}

/** Reads a `create function … language plpgsql` statement's body. */
export function plpgsql(createFunction: string): Body {
  const body: Body = { fragments: [], types: [], dynamic: false };
  walk(parsePlPgSQLSync(createFunction), (kind, node) => {
    if (kind.includes("_dynexecute") || kind === "PLpgSQL_stmt_dynfors") {
      body.dynamic = true;
    } else if (kind === "PLpgSQL_type" && typeof node["typname"] === "string") {
      body.types.push(node["typname"]);
    } else if (kind === "PLpgSQL_expr" && typeof node["query"] === "string") {
      const text = complete(node["query"], Number(node["parseMode"] ?? 0));
      body.fragments.push({ tree: parseSync(text), text: node["query"] });
    }
  });
  return body;
}

/** Makes a statement of a plpgsql expression, by the mode that plpgsql would have parsed it in (RawParseMode). */
function complete(query: string, mode: number): string {
  const [statement, expression] = [0, 2];
  if (mode === statement) {
    return query;
  }
  if (mode === expression) {
    return `select ${query}`;
  }
  // An assignment, `target := expression`: the target cannot hold a query.
  const sign = scanSync(query).tokens.find((token) => token.text === ":=" || token.text === "=");
  return `select ${Buffer.from(query)
    .subarray(sign?.end ?? 0)
    .toString()}`;
}

function only(node: unknown): [string, Tree] {
  const [entry] = isTree(node) ? Object.entries(node) : [];
  if (entry === undefined || !isTree(entry[1])) {
    throw new Error(`The parser gave an empty node: ${JSON.stringify(node)}`);
  }
  return [entry[0], entry[1]];
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
