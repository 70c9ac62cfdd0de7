-- people.has_workspace: is there such a workspace? Locks nothing: one that is there stays.
-- Callers: payments.set_referrer
create or replace function people.has_workspace(workspace_id uuid)
  returns boolean
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return exists (select from people.workspace w where w.id = has_workspace.workspace_id);
end
$$;
