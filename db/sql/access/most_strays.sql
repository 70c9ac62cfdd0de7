-- access.most_strays: how many strays are removed within a day without a person: a fifth of the keys that are to be there now, ten at least
-- and a hundred at most. Counts no further than to the 500th key, in an index of those that live. Callers: access.remove_strays
create or replace function access.most_strays()
  returns integer
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_live integer;
begin
  -- By the order, the index is the way, whatever is thought of how many there are.
  select count(*) into strict v_live from (
    select k.subscription_id from access.key k where k.state in ('pending', 'active') order by k.subscription_id limit 500) live;
  return least(100, greatest(10, v_live / 5));
end
$$;
