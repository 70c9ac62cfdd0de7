import type { Pool } from "pg";

/** One line for each table of ours with a digest of all its rows: equal before and after means that nothing was written. */
export async function footprint(db: Pool): Promise<string[]> {
  const { rows: tables } = await db.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname in ('ledger', 'people', 'ops', 'access', 'messages') order by 1`,
  );
  const digests = tables.map(
    ({ name }) =>
      `select '${name}' as name, count(*)::text || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') as digest from ${name} t`,
  );
  const { rows } = await db.query<{ name: string; digest: string }>(`${digests.join(" union all ")} order by 1`);
  return rows.map(({ name, digest }) => `${name} ${digest}`);
}
