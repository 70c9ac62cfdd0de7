-- people.freeze_workspace: the workspace's own writes are refused until the operator lets it go on. Freezing again changes nothing.
-- Guarantees: an audit row in the same statement, once. Refuses: not_found. Callers: worker, payments.reckon
create or replace function people.freeze_workspace(
  inout workspace_id uuid,
  inout reason text,
  caused_by text,
  out frozen_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update people.workspace w set frozen_at = ops.now(), frozen_reason = freeze_workspace.reason
   where w.id = freeze_workspace.workspace_id and w.frozen_at is null
  returning w.frozen_at into freeze_workspace.frozen_at;
  if found then
    perform ops.record_change(
      workspace_id => freeze_workspace.workspace_id, actor => freeze_workspace.caused_by, action => 'workspace.freeze',
      subject => 'workspace:' || freeze_workspace.workspace_id, detail => jsonb_build_object('reason', freeze_workspace.reason));
    return;
  end if;
  select w.frozen_at, w.frozen_reason into freeze_workspace.frozen_at, freeze_workspace.reason
    from people.workspace w where w.id = freeze_workspace.workspace_id;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
