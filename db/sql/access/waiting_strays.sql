-- access.waiting_strays: the strays that are to be removed: two passes have seen them, and no removal of theirs is on its way that the
-- provisioner need not have taken when it was asked at `since`. Callers: access.remove_strays, access.approve_strays
create or replace function access.waiting_strays(since timestamptz, out keys uuid[])
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_names text[];
begin
  select coalesce(array_agg(access.removal_name(s.key, s.first_seen_at, s.removals)), '{}') into v_names
    from access.stray s where s.times >= 2 and s.removals > 0;
  v_names := messages.unsettled('provisioner', v_names, waiting_strays.since);
  select coalesce(array_agg(s.key order by s.key), '{}') into waiting_strays.keys
    from access.stray s
   where s.times >= 2 and (s.removals = 0 or access.removal_name(s.key, s.first_seen_at, s.removals) <> all (v_names));
end
$$;
