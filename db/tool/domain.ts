import { quoted } from "./signature.ts";
import { child, children, statements, textOf, words } from "./sql.ts";
import type { Statement, Tree } from "./sql.ts";

/** A `create domain` statement, taken apart. */
interface Domain {
  name: string[];
  /** Its named checks, each as `constraint x check (…)`. */
  checks: Map<string, string>;
  /** Everything else, for comparison. */
  rest: string;
}

/** The domain that a text creates; null where it creates none. */
export function domainIn(text: string): Domain | null {
  const created = statements(text).find((statement) => statement.kind === "CreateDomainStmt");
  return created === undefined ? null : domainOf(created);
}

/**
 * DDL that makes one domain of the other: its checks go and come, and what is stored is held against the new ones.
 * Null if more than checks is different, which no ALTER DOMAIN does while columns use it.
 */
export function alterations(from: Domain, to: Domain): string[] | null {
  if (from.rest !== to.rest) {
    return null;
  }
  const domain = quoted(...to.name);
  const changed = (name: string) => from.checks.get(name) !== to.checks.get(name);
  return [
    ...[...from.checks.keys()].filter(changed).map((name) => `alter domain ${domain} drop constraint ${quoted(name)};`),
    ...[...to.checks].filter(([name]) => changed(name)).map(([, check]) => `alter domain ${domain} add ${check};`),
  ];
}

/** How DROP names it. */
export function domainReference(domain: Domain): string {
  return `domain ${quoted(...domain.name)}`;
}

function domainOf(statement: Statement): Domain {
  const constraints = children(statement.tree, "constraints");
  const bytes = Buffer.from(statement.text);
  // A constraint's text goes on to where the next one begins.
  const starts = constraints.map((constraint) => Number(constraint["location"]) - statement.offset);
  const checks = new Map<string, string>();
  const others: Tree[] = [];
  for (const [i, constraint] of constraints.entries()) {
    if (textOf(constraint, "contype") === "CONSTR_CHECK") {
      checks.set(
        textOf(constraint, "conname"),
        bytes
          .subarray(starts[i], starts[i + 1])
          .toString()
          .trim(),
      );
    } else {
      others.push(constraint);
    }
  }
  const rest = [child(statement.tree, "typeName"), statement.tree["collClause"], others];
  return { name: words(statement.tree, "domainname"), checks, rest: JSON.stringify(rest, withoutPlaces) };
}

function withoutPlaces(member: string, value: unknown): unknown {
  return member === "location" ? undefined : value;
}
