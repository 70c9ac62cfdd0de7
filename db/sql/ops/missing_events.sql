-- ops.missing_events: which of these events the inbox lacks. Callers: worker
create or replace function ops.missing_events(
  inout provider text,
  inout ids text[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  select coalesce(array_agg(n.id order by n.place), '{}') into missing_events.ids
    from unnest(missing_events.ids) with ordinality n(id, place)
   where not exists (
     select from ops.event e where e.provider = missing_events.provider and e.id = n.id);
end
$$;
