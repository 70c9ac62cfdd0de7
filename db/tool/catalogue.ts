import type { ClientBase } from "pg";
import * as z from "zod";
import { workerRole } from "./role.ts";

/** Everything that a database's schemas hold, by name; what each thing is, by attribute. */
export type Catalogue = Map<string, Record<string, string>>;

/** Tables whose rows are part of the schema: routines rely on them. */
const referenceTables = ["ops.transition"];

/** Asks a database what it holds in these schemas. Who owns it does not count; who may use it does. */
export async function readCatalogue(client: ClientBase, schemas: string[]): Promise<Catalogue> {
  // With an empty search_path every name in a definition is written out in full.
  await client.query("begin transaction isolation level repeatable read read only; set local search_path = ''");
  try {
    const { rows } = await client.query<Fact>(catalogueQuery, [schemas]);
    for (const table of referenceTables) {
      rows.push(...(await rowsOf(client, table)));
    }
    const names = rows.map((row) => [row.name, attributes.parse(row.attributes)] as const);
    return new Map(names.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  } finally {
    await client.query("rollback");
  }
}

/** How a catalogue is kept in a file: one thing a line, so that two branches merge and a review sees each change. */
export function catalogueText(catalogue: Catalogue): string {
  const lines = [...catalogue].map(([name, is]) => `${JSON.stringify(name)}: ${JSON.stringify(is)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}

/** Reads what `catalogueText` wrote. */
export function parseCatalogue(text: string): Catalogue {
  return new Map(Object.entries(z.record(z.string(), attributes).parse(JSON.parse(text))));
}

/** What one has to say of the other: one line for each thing that is missing, too much, or not the same. */
export function differences(expected: Catalogue, found: Catalogue): string[] {
  const lines: string[] = [];
  for (const [name, is] of expected) {
    const other = found.get(name);
    if (other === undefined) {
      lines.push(`missing: ${name}`);
      continue;
    }
    for (const attribute of new Set([...Object.keys(is), ...Object.keys(other)])) {
      const [want, have] = [is[attribute] ?? "nothing", other[attribute] ?? "nothing"];
      if (want !== have) {
        // A body is kept as its hash, which tells nobody anything.
        const how = attribute === "body" ? "is another one" : `is ${short(have)}, not ${short(want)}`;
        lines.push(`${name}: ${attribute} ${how}`);
      }
    }
  }
  for (const name of found.keys()) {
    if (!expected.has(name)) {
      lines.push(`unexpected: ${name}`);
    }
  }
  return lines;
}

interface Fact {
  name: string;
  attributes: unknown;
}

const attributes = z.record(z.string(), z.string());

function short(text: string): string {
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

async function rowsOf(client: ClientBase, table: string): Promise<Fact[]> {
  const { rows: found } = await client.query<{ there: boolean }>("select to_regclass($1) is not null as there", [
    table,
  ]);
  if (found[0]?.there !== true) {
    return [];
  }
  const { rows } = await client.query<{ name: string }>(
    `select format('row of %s: %s', $1::text, to_jsonb(t)) as name from ${table} t`,
    [table],
  );
  return rows.map(({ name }) => ({ name, attributes: {} }));
}

/** What PUBLIC and the Worker's role were granted, as two attributes; a star says that they may pass it on. */
function grants(list: string): string {
  const of = (grantee: string) =>
    `(select string_agg(x.privilege_type || case when x.is_grantable then '*' else '' end, ' ' order by x.privilege_type)
        from aclexplode(${list}) x where x.grantee = ${grantee})`;
  return `'public may', ${of("0")}, 'worker may', ${of(`(select oid from pg_roles where rolname = '${workerRole}')`)}`;
}

/** An owner is told only where it is not the schema's, whose name differs from database to database. */
function owner(column: string): string {
  return `'owner', case when ${column} <> n.nspowner then ${column}::regrole::text end`;
}

const catalogueQuery = `
select name, jsonb_strip_nulls(attributes) as attributes from (
with space as (
  select * from pg_namespace where nspname = any ($1)
),
relation as (
  select c.*, n.nspname, n.nspowner, format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join space n on n.oid = c.relnamespace
)
select 'schema ' || n.nspname as name,
       jsonb_build_object(${grants("coalesce(n.nspacl, acldefault('n', n.nspowner))")}) as attributes
  from space n
union all
select case n.relkind when 'v' then 'view ' when 'm' then 'view ' when 'S' then 'sequence ' else 'table ' end || n.name,
       jsonb_build_object(
         'kind', case n.relkind when 'r' then null else n.relkind::text end,
         'persistence', case n.relpersistence when 'p' then null else n.relpersistence::text end,
         'options', nullif(array_to_string(array(select unnest(n.reloptions) order by 1), ', '), ''),
         'row security', case when n.relrowsecurity then case when n.relforcerowsecurity then 'forced' else 'on' end end,
         'partition', pg_get_expr(n.relpartbound, n.oid),
         'definition', case when n.relkind in ('v', 'm') then pg_get_viewdef(n.oid) end,
         'sequence', (select concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin,
                                       s.seqcache, s.seqcycle) from pg_sequence s where s.seqrelid = n.oid),
         ${owner("n.relowner")},
         ${grants("coalesce(n.relacl, acldefault(case n.relkind when 'S' then 's' else 'r' end::\"char\", n.relowner))")})
  from relation n
 where n.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
union all
select format('column %s.%I', n.name, a.attname),
       jsonb_build_object(
         'type', format_type(a.atttypid, a.atttypmod),
         'null', case when a.attnotnull then 'not null' end,
         'default', pg_get_expr(d.adbin, d.adrelid),
         'generated', nullif(concat(a.attidentity, a.attgenerated), ''),
         'collation', (select co.collname from pg_collation co, pg_type t
                        where co.oid = a.attcollation and t.oid = a.atttypid and a.attcollation <> t.typcollation),
         ${grants("a.attacl")})
  from relation n
  join pg_attribute a on a.attrelid = n.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where n.relkind in ('r', 'p', 'f')
union all
-- A column's NOT NULL is told by the column; the name of its constraint is Postgres's own affair.
select format('constraint %I on %s', k.conname, n.name),
       jsonb_build_object('definition', pg_get_constraintdef(k.oid),
                          'validated', case when not k.convalidated then 'no' end)
  from relation n join pg_constraint k on k.conrelid = n.oid
 where k.contype not in ('n', 't')
union all
select format('index %s', n.name),
       jsonb_build_object('definition', pg_get_indexdef(n.oid),
                          'valid', case when not (i.indisvalid and i.indisready and i.indislive) then 'no' end)
  from relation n join pg_index i on i.indexrelid = n.oid
union all
select format('trigger %I on %s', t.tgname, n.name),
       jsonb_build_object('definition', pg_get_triggerdef(t.oid),
                          'enabled', case t.tgenabled when 'O' then null else t.tgenabled::text end)
  from relation n join pg_trigger t on t.tgrelid = n.oid
 where not t.tgisinternal
union all
select format('rule %I on %s', r.rulename, n.name), jsonb_build_object('definition', pg_get_ruledef(r.oid))
  from relation n join pg_rewrite r on r.ev_class = n.oid
 where r.rulename <> '_RETURN'
union all
select format('policy %I on %s', p.polname, n.name),
       jsonb_build_object('using', pg_get_expr(p.polqual, n.oid), 'check', pg_get_expr(p.polwithcheck, n.oid),
                          'command', p.polcmd::text, 'permissive', p.polpermissive::text)
  from relation n join pg_policy p on p.polrelid = n.oid
union all
select 'routine ' || p.oid::regprocedure,
       jsonb_build_object(
         'kind', p.prokind::text,
         'language', l.lanname,
         'arguments', pg_get_function_arguments(p.oid),
         'result', pg_get_function_result(p.oid),
         'volatility', case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
         'security', case when p.prosecdef then 'definer' else 'invoker' end,
         'settings', array_to_string(array(select unnest(p.proconfig) order by 1), ', '),
         'flags', nullif(concat_ws(' ', case when p.proisstrict then 'strict' end,
                                        case when p.proleakproof then 'leakproof' end,
                                        case when p.proparallel <> 'u' then 'parallel ' || p.proparallel::text end,
                                        case when p.procost <> 100 then 'cost ' || p.procost::text end,
                                        case when p.prorows not in (0, 1000) then 'rows ' || p.prorows::text end), ''),
         'body', encode(sha256(convert_to(coalesce(p.prosrc, '') || coalesce(pg_get_function_sqlbody(p.oid), ''),
                                          'UTF8')), 'hex'),
         ${owner("p.proowner")},
         ${grants("coalesce(p.proacl, acldefault('f', p.proowner))")})
  from pg_proc p join space n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
 where p.prokind in ('f', 'p', 'w')
union all
select format('type %I.%I', n.nspname, t.typname),
       jsonb_build_object(
         'kind', t.typtype::text,
         'labels', (select string_agg(e.enumlabel, ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
         'base', case t.typtype when 'd' then format_type(t.typbasetype, t.typtypmod) end,
         'null', case when t.typnotnull then 'not null' end,
         'default', t.typdefault,
         'checks', (select string_agg(pg_get_constraintdef(k.oid), ', ' order by k.conname)
                      from pg_constraint k where k.contypid = t.oid),
         'columns', (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
                       from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped),
         ${grants("coalesce(t.typacl, acldefault('T', t.typowner))")})
  from pg_type t join space n on n.oid = t.typnamespace
 where t.typtype in ('e', 'd', 'r')
    or t.typtype = 'c' and exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c')) fact`;
