-- people.unfreeze_workspace: a frozen workspace may write again. Doing it again changes nothing.
-- Guarantees: an audit row in the same statement, once. Refuses: not_found. Callers: worker
create or replace function people.unfreeze_workspace(
  inout workspace_id uuid,
  caused_by text,
  out frozen boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  unfreeze_workspace.frozen := false;
  update people.workspace w set frozen_at = null, frozen_reason = null
   where w.id = unfreeze_workspace.workspace_id and w.frozen_at is not null;
  if found then
    perform ops.record_change(
      workspace_id => unfreeze_workspace.workspace_id, actor => unfreeze_workspace.caused_by, action => 'workspace.unfreeze',
      subject => 'workspace:' || unfreeze_workspace.workspace_id, detail => '{}');
    perform ops.close_alarm('workspace_frozen', 'workspace:' || unfreeze_workspace.workspace_id);
    return;
  end if;
  if not exists (select from people.workspace w where w.id = unfreeze_workspace.workspace_id) then
    perform ops.refuse('not_found');
  end if;
end
$$;
