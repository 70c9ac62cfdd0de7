-- people.authenticate: who presents this key, and may they do this to that workspace? Answers the key's id.
-- Guarantees: a revoked or expired key is unknown from the next statement on. Another workspace's and a missing
--   workspace are one refusal. Only an operator's key passes for a call that concerns no workspace (null).
-- Refuses: unauthenticated, operator_key_required, not_found, forbidden (with the scope that is missing).
-- Every request passes here: one query, and one value, which costs the caller a third of what a row would.
-- Callers: ops.admit, ops.permit
create or replace function people.authenticate(key_hash text, scope text, workspace uuid)
  returns uuid
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_key_id uuid;
  v_refusal text;
begin
  select k.id,
         case
           -- `is not null` first: the clock would be read for the comparison, though there is nothing to compare.
           when k.expires_at is not null and k.expires_at <= ops.now() then 'unauthenticated'
           when k.workspace_id is null and authenticate.workspace is not null
             and not exists (select from people.workspace w where w.id = authenticate.workspace) then 'not_found'
           when k.workspace_id is not null and authenticate.workspace is null then 'operator_key_required'
           when k.workspace_id <> authenticate.workspace then 'not_found'
           when authenticate.scope <> all (k.scopes) then 'forbidden'
         end
    into v_key_id, v_refusal
    from people.api_key k
   where k.hash = authenticate.key_hash and k.revoked_at is null;
  if v_key_id is null then
    perform ops.refuse('unauthenticated');
  elsif v_refusal is not null then
    perform ops.refuse(v_refusal,
      case v_refusal when 'forbidden' then jsonb_build_object('scope', authenticate.scope) else '{}' end);
  end if;
  return v_key_id;
end
$$;
