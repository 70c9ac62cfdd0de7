-- ops.unpark_many: ops.unpark for many rows of one sweep at once: of those that are parked, the failure is no longer open.
-- Where the sweep has nothing parked, that is one look into an index.
-- Locks: the parked rows, in order, then their alarms. Callers: sweeps
create or replace function ops.unpark_many(sweep text, subjects text[])
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if not exists (select from ops.parked p where p.sweep = unpark_many.sweep) then
    return;
  end if;
  with there as materialized (
    select p.subject from ops.parked p
     where p.sweep = unpark_many.sweep and p.subject = any (unpark_many.subjects)
     order by p.subject
       for update
  ), gone as (
    delete from ops.parked p using there t where p.sweep = unpark_many.sweep and p.subject = t.subject
    returning p.subject
  )
  update ops.alarm a set closed_at = ops.now()
    from gone g
   where a.code = 'row_parked' and a.subject = unpark_many.sweep || ':' || g.subject and a.closed_at is null;
end
$$;
