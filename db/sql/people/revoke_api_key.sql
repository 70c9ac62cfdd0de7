-- people.revoke_api_key: the key is unknown from the next statement on. Revoking again changes nothing.
-- Guarantees: an audit row in the same statement, once. Refuses: not_found.
-- Callers: worker, the command `npm run keys`
create or replace function people.revoke_api_key(
  inout id uuid,
  caused_by text,
  out revoked_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_workspace uuid;
begin
  update people.api_key k set revoked_at = ops.now()
   where k.id = revoke_api_key.id and k.revoked_at is null
  returning k.revoked_at, k.workspace_id into revoke_api_key.revoked_at, v_workspace;
  if found then
    perform ops.record_change(
      workspace_id => v_workspace, actor => revoke_api_key.caused_by, action => 'api_key.revoke',
      subject => 'api_key:' || revoke_api_key.id, detail => '{}');
    return;
  end if;
  select k.revoked_at into revoke_api_key.revoked_at from people.api_key k where k.id = revoke_api_key.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
