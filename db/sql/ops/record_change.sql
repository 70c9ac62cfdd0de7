-- ops.record_change: one audit row, in the statement of the change that it tells of (B9).
-- Guarantees: the row cannot be changed or removed by any role (trigger audit_append_only).
-- Callers: every routine that changes something for an administrator
create or replace function ops.record_change(workspace_id uuid, actor text, action text, subject text, detail jsonb)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into ops.audit (id, workspace_id, actor, action, subject, detail, created_at)
  values (uuidv7(), record_change.workspace_id, record_change.actor, record_change.action, record_change.subject, record_change.detail, ops.now());
end
$$;
