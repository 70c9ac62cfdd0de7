-- people.lock_workspace: the workspace's row, first in the order of locks: whoever moves a workspace's subscription, purchases
-- or payments waits here for whoever else does. Answers whether there is such a workspace.
-- Callers: billing's and payments' routines, messages.create_contact
create or replace function people.lock_workspace(workspace_id uuid)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform from people.workspace w where w.id = lock_workspace.workspace_id for no key update;
  return found;
end
$$;
