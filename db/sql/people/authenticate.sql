-- people.authenticate: who presents this key, and may they do this to that workspace?
-- Guarantees: a revoked or expired key is unknown from the next statement on. Another workspace's and a missing
--   workspace are one refusal. `workspace_id` is null only for an operator's call that concerns no workspace.
-- Refuses: unauthenticated, operator_key_required, not_found, forbidden (with the scope that is missing).
-- Callers: ops.admit, ops.permit
create or replace function people.authenticate(
  key_hash text,
  scope text,
  workspace uuid,
  out workspace_id uuid,
  out key_id uuid,
  out caused_by text
)
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_key record;
begin
  select k.id, k.workspace_id, k.scopes, k.expires_at into v_key
    from people.api_key k
   where k.hash = authenticate.key_hash and k.revoked_at is null;
  if v_key.id is null or v_key.expires_at <= ops.now() then
    perform ops.refuse('unauthenticated');
  end if;

  if v_key.workspace_id is not null then
    if authenticate.workspace is null then
      perform ops.refuse('operator_key_required');
    elsif authenticate.workspace <> v_key.workspace_id then
      perform ops.refuse('not_found');
    end if;
  elsif authenticate.workspace is not null
    and not exists (select from people.workspace w where w.id = authenticate.workspace) then
    perform ops.refuse('not_found');
  end if;

  if authenticate.scope <> all (v_key.scopes) then
    perform ops.refuse('forbidden', jsonb_build_object('scope', authenticate.scope));
  end if;

  authenticate.workspace_id := authenticate.workspace;
  authenticate.key_id := v_key.id;
  authenticate.caused_by := 'key:' || v_key.id;
end
$$;
