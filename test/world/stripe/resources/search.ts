import { invalid } from "../failure.ts";

interface Searched {
  id: string;
  created: number;
  email?: string | null;
  name?: string | null;
  phone?: string | null;
  metadata: Record<string, string> | null;
}

const clause =
  /^(-?)(email|name|phone|created|metadata\["([^"]+)"\]|metadata\['([^']+)'\])\s*(:|~|>=|<=|>|<)\s*(?:"([^"]*)"|'([^']*)'|(null|\d+))$/;

/**
 * Whether a customer matches a query in Stripe's search language: clauses joined by AND or by OR, not by both;
 * `:` is exact (regardless of case), `~` is a part of the text, a minus negates, `metadata["k"]:null` finds the lack.
 */
export function matches(query: string, customer: Searched): boolean {
  const [ands, ors] = [query.split(/\s+AND\s+/), query.split(/\s+OR\s+/)];
  if (ands.length > 1 && ors.length > 1) {
    throw invalid("We were unable to parse your search query: AND and OR cannot be combined.", "query");
  }
  return ors.length > 1
    ? ors.some((part) => matchesClause(part.trim(), customer))
    : ands.every((part) => matchesClause(part.trim(), customer));
}

function matchesClause(text: string, customer: Searched): boolean {
  const parts = clause.exec(text);
  if (parts === null) {
    throw invalid(`We were unable to parse your search query: ${text}`, "query");
  }
  const [, minus, field = "", keyA, keyB, operator, valueA, valueB, bare] = parts;
  const key = keyA ?? keyB;
  const wanted = valueA ?? valueB ?? bare ?? "";
  const fields: Record<string, string | number | null | undefined> = {
    email: customer.email,
    name: customer.name,
    phone: customer.phone,
    created: customer.created,
  };
  const actual = key === undefined ? fields[field] : customer.metadata?.[key];
  const found =
    bare === "null"
      ? actual === undefined || actual === null
      : actual !== undefined && actual !== null && compare(actual, operator ?? ":", wanted);
  return found === (minus !== "-");
}

function compare(actual: string | number, operator: string, wanted: string): boolean {
  switch (operator) {
    case "~":
      return String(actual).toLowerCase().includes(wanted.toLowerCase());
    case ">":
      return Number(actual) > Number(wanted);
    case ">=":
      return Number(actual) >= Number(wanted);
    case "<":
      return Number(actual) < Number(wanted);
    case "<=":
      return Number(actual) <= Number(wanted);
    default:
      return String(actual).toLowerCase() === wanted.toLowerCase();
  }
}
