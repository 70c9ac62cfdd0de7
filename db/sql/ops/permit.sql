-- ops.permit: lets a read in: key, scope and workspace are checked; nothing is written.
-- Guarantees: a read that depends on its row cannot answer before the check.
-- Refuses: as people.authenticate.
-- Callers: worker
create or replace function ops.permit(
  key_hash text,
  scope text,
  workspace uuid,
  out workspace_id uuid,
  out key_id uuid,
  out caused_by text
)
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select a.workspace_id, a.key_id, a.caused_by into permit.workspace_id, permit.key_id, permit.caused_by
    from people.authenticate(permit.key_hash, permit.scope, permit.workspace) a;
end
$$;
