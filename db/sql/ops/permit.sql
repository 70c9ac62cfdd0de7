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
  permit.key_id := people.authenticate(permit.key_hash, permit.scope, permit.workspace);
  permit.workspace_id := permit.workspace;
  permit.caused_by := 'key:' || permit.key_id;
end
$$;
