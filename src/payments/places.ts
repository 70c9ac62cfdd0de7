import { type Fault, Problem } from "../http/problem.ts";

/** Stripe takes no more. */
const longest = 2000;
/** What every parser reads alike: a backslash is a slash to some, and a tab or a line's end is nothing to others. */
const plain = /^[\x21-\x5b\x5d-\x7e]*$/;
const loopback = new Set(["127.0.0.1", "[::1]", "localhost"]);

/**
 * May a person who pays be sent there? Whoever holds a workspace's key could otherwise send its people, from Stripe's own
 * page, wherever they like. Refuses 422 `url_not_allowed`, naming each member that is not allowed and why.
 */
export function refusePlaces(places: Readonly<Record<string, string>>, origins: readonly string[]): void {
  const faults = Object.entries(places).flatMap(([member, text]): Fault[] => {
    const detail = objection(text, origins);
    return detail === null ? [] : [{ in: "body", pointer: `/${member}`, code: "url_not_allowed", detail }];
  });
  if (faults.length > 0) throw new Problem("url_not_allowed", { errors: faults });
}

function objection(text: string, origins: readonly string[]): string | null {
  if (text.length > longest) return `must have ${longest} characters at most`;
  const url = plain.test(text) ? URL.parse(text) : null;
  if (url === null) return "must be a URL, in ASCII and without spaces or backslashes";
  if (url.protocol !== "https:" && !(url.protocol === "http:" && loopback.has(url.hostname))) return "must be https";
  if (url.username !== "" || url.password !== "") return "must have no user and no password in it";
  if (!origins.includes(url.origin)) return "its origin is not among those that this deployment allows";
  return null;
}
