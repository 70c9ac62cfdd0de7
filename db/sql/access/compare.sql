-- access.compare: what the provisioner has, between two keys, against the rows. It was asked after `listed_at`, for what comes after `after`
-- (null: from the beginning), and said all up to `until` (null: to its list's end): `keys` let somebody in there, `shut` are there and let
-- nobody in. `strays`: those that no row stands for, or only one that was removed before it was asked. `missing`: keys that were
-- active before it was asked, that are not among `keys`, and that nothing is on its way for; at most `batch`, and `reached` is how far
-- that goes. Writes nothing: the dry run shows it, and access.reconcile does it. Callers: worker, access.reconcile
create or replace function access.compare(
  after uuid,
  until uuid,
  keys uuid[],
  shut uuid[],
  listed_at timestamptz,
  batch integer,
  out strays uuid[],
  out missing uuid[],
  out reached uuid
)
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_row record;
begin
  select coalesce(array_agg(l.key order by l.key), '{}') into compare.strays
    from unnest(compare.keys || compare.shut) l(key)
   where (compare.after is null or l.key > compare.after) and (compare.until is null or l.key <= compare.until)
     and not exists (
       select from access.key k where k.key = l.key and (k.state <> 'removed' or k.removed_at >= compare.listed_at));
  with lacking as materialized (
    select k.key, access.add_name(k.id, k.adds) as name
      from access.key k
     where k.state = 'active' and k.activated_at < compare.listed_at
       and k.key > coalesce(compare.after, '00000000-0000-0000-0000-000000000000')
       and k.key <= coalesce(compare.until, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       and not exists (select from unnest(compare.keys) l(key) where l.key = k.key)
     order by k.key
     limit compare.batch
  ), coming as materialized (
    select messages.unsettled('provisioner', (select coalesce(array_agg(l.name), '{}') from lacking l), compare.listed_at) as names
  )
  select coalesce(array_agg(l.key order by l.key) filter (where l.name <> all (c.names)), '{}') as missing,
         count(*) as lacking, (array_agg(l.key order by l.key desc))[1] as last
    into strict v_row
    from lacking l cross join coming c;
  compare.missing := v_row.missing;
  compare.reached := case when v_row.lacking = compare.batch then v_row.last else compare.until end;
end
$$;
