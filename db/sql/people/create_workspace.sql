-- people.create_workspace: a customer of the operator's.
-- Guarantees: an audit row in the same statement. Refuses: constraint workspace_name_length.
-- Callers: worker
create or replace function people.create_workspace(
  inout name text,
  caused_by text,
  out id uuid,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  create_workspace.id := uuidv7();
  create_workspace.created_at := ops.now();
  insert into people.workspace (id, name, created_at)
  values (create_workspace.id, create_workspace.name, create_workspace.created_at);
  perform ops.record_change(
    workspace_id => create_workspace.id, actor => create_workspace.caused_by, action => 'workspace.create',
    subject => 'workspace:' || create_workspace.id, detail => jsonb_build_object('name', create_workspace.name));
end
$$;
