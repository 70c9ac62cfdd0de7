-- access.removal_name: what the newest message is called that removes a stray.
-- Callers: access.remove_strays, access.waiting_strays
create or replace function access.removal_name(key uuid, first_seen_at timestamptz, removals integer)
  returns text
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return 'stray:' || removal_name.key || ':' || (extract(epoch from removal_name.first_seen_at) * 1000000)::bigint
    || ':' || removal_name.removals;
end
$$;
