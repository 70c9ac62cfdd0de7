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
  v_refusal text;
  v_scopes text[];
begin
  -- One query, and no branch that is not needed: every request passes here.
  select authenticate.workspace, k.id, 'key:' || k.id, k.scopes,
         case
           when k.expires_at <= ops.now() then 'unauthenticated'
           when k.workspace_id is null then
             case when authenticate.workspace is not null
                   and not exists (select from people.workspace w where w.id = authenticate.workspace)
               then 'not_found' end
           when authenticate.workspace is null then 'operator_key_required'
           when authenticate.workspace <> k.workspace_id then 'not_found'
         end
    into authenticate.workspace_id, authenticate.key_id, authenticate.caused_by, v_scopes, v_refusal
    from people.api_key k
   where k.hash = authenticate.key_hash and k.revoked_at is null;
  if authenticate.key_id is null then
    perform ops.refuse('unauthenticated');
  elsif v_refusal is not null then
    perform ops.refuse(v_refusal);
  elsif authenticate.scope <> all (v_scopes) then
    perform ops.refuse('forbidden', jsonb_build_object('scope', authenticate.scope));
  end if;
end
$$;
