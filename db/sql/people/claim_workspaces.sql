-- people.claim_workspaces: people.lock_workspace for many at once, by id, and without waiting: answers those that it has
-- locked; whoever is missing is at work elsewhere, or is not there.
-- Locks: the workspaces' rows, SKIP LOCKED. Callers: billing's sweeps
create or replace function people.claim_workspaces(ids uuid[])
  returns uuid[]
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_claimed uuid[];
begin
  with claimed as materialized (
    select w.id from people.workspace w
     where w.id = any (claim_workspaces.ids)
     order by w.id
       for no key update skip locked
  )
  select coalesce(array_agg(c.id order by c.id), '{}') into v_claimed from claimed c;
  return v_claimed;
end
$$;
