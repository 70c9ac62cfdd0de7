-- access.add_name: what the newest message is called that adds a key: the first, or the one for the time that it had to be added again.
-- Callers: access.follow, access.compare, access.reconcile
create or replace function access.add_name(id uuid, adds integer)
  returns text
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return 'add:' || add_name.id || case when add_name.adds > 0 then ':' || add_name.adds else '' end;
end
$$;
