import { sql, type SQL } from "drizzle-orm";

/** How SQL makes of rows what answers show. */

/** A JSON object. Its names are ours, so that they may stand in the statement. */
export function told(members: Record<string, unknown>): SQL {
  const pairs = Object.entries(members).map(([name, value]) => sql`${sql.raw(`'${name}'`)}, ${value}`);
  return sql`json_build_object(${sql.join(pairs, sql`, `)})`;
}

/** An instant as answers show it. */
export function shownAt(at: unknown): SQL {
  return sql`replace(to_json(${at}) #>> '{}', '+00:00', 'Z')`;
}

/** An object where there is what it tells of, else null. */
export function toldOf(found: unknown, members: Record<string, unknown>): SQL {
  return sql`case when ${found} is not null then ${told(members)} end`;
}
