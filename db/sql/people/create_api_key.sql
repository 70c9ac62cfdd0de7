-- people.create_api_key: a key for the operator (no workspace) or for one workspace. Only the hash comes here.
-- Guarantees: a workspace's key never holds an operator's scope; a key that makes another (`granted_by`) gives no scope that it
--   lacks, so that keys:write is not every scope; an audit row in the same statement.
-- Refuses: not_found (workspace), scope_unknown, scope_not_for_workspace, forbidden (with the scope that the maker lacks),
--   constraint api_key_hash_once.
-- Callers: worker, the command `npm run keys`
create or replace function people.create_api_key(
  inout workspace_id uuid,
  inout name text,
  inout scopes text[],
  hash text,
  inout prefix text,
  expires_in interval,
  caused_by text,
  granted_by uuid default null,
  out id uuid,
  out expires_at timestamptz,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_scope text;
  v_given text[] := create_api_key.scopes;
begin
  -- The owner's command has no key, and gives what it likes.
  if create_api_key.granted_by is not null then
    select k.scopes into strict v_given from people.api_key k where k.id = create_api_key.granted_by;
  end if;
  if create_api_key.workspace_id is not null
    and not exists (select from people.workspace w where w.id = create_api_key.workspace_id) then
    perform ops.refuse('not_found');
  end if;
  foreach v_scope in array create_api_key.scopes loop
    if v_scope in ('credits:read', 'credits:write', 'workspaces:read', 'billing:read', 'billing:write',
      'messages:read', 'messages:write') then
      continue;
    elsif v_scope not in ('credits:grant', 'ledger:adjust', 'workspaces:write', 'plans:write', 'access:read', 'access:write',
      'keys:read', 'keys:write', 'ops:read', 'ops:write', 'webhooks:read', 'webhooks:write') then
      perform ops.refuse('scope_unknown', jsonb_build_object('scope', v_scope));
    elsif create_api_key.workspace_id is not null then
      perform ops.refuse('scope_not_for_workspace', jsonb_build_object('scope', v_scope));
    end if;
  end loop;
  foreach v_scope in array create_api_key.scopes loop
    if v_scope <> all (v_given) then
      perform ops.refuse('forbidden', jsonb_build_object('scope', v_scope));
    end if;
  end loop;

  create_api_key.id := uuidv7();
  create_api_key.created_at := ops.now();
  create_api_key.expires_at := create_api_key.created_at + create_api_key.expires_in;
  insert into people.api_key (id, workspace_id, name, hash, prefix, scopes, expires_at, created_at)
  values (create_api_key.id, create_api_key.workspace_id, create_api_key.name, create_api_key.hash,
          create_api_key.prefix, create_api_key.scopes, create_api_key.expires_at, create_api_key.created_at);
  perform ops.record_change(
    workspace_id => create_api_key.workspace_id, actor => create_api_key.caused_by, action => 'api_key.create',
    subject => 'api_key:' || create_api_key.id,
    detail => jsonb_build_object('prefix', create_api_key.prefix, 'scopes', create_api_key.scopes));
end
$$;
