-- people.set_read_only: from `read_only_from` on, the workspace's own writes are refused; null: they are not. A time that lies
-- ahead (the end of a grace) needs no sweep to come into force.
-- Locks: the caller holds the workspace's row (people.lock_workspace). Setting the same again changes nothing.
-- Callers: billing.follow
create or replace function people.set_read_only(workspace_id uuid, read_only_from timestamptz, reason text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update people.workspace w
     set read_only_from = set_read_only.read_only_from, read_only_reason = set_read_only.reason
   where w.id = set_read_only.workspace_id
     and (w.read_only_from, w.read_only_reason) is distinct from (set_read_only.read_only_from, set_read_only.reason);
end
$$;
