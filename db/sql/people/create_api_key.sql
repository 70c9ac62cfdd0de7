-- people.create_api_key: a key for the operator (no workspace) or for one workspace. Only the hash comes here.
-- Guarantees: a workspace's key never holds an operator's scope; an audit row in the same statement.
-- Refuses: not_found (workspace), scope_unknown, scope_not_for_workspace, constraint api_key_hash_once.
-- Callers: worker, the command `npm run keys`
create or replace function people.create_api_key(
  inout workspace_id uuid,
  inout name text,
  inout scopes text[],
  hash text,
  inout prefix text,
  expires_in interval,
  caused_by text,
  out id uuid,
  out expires_at timestamptz,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_scope text;
begin
  if create_api_key.workspace_id is not null
    and not exists (select from people.workspace w where w.id = create_api_key.workspace_id) then
    perform ops.refuse('not_found');
  end if;
  foreach v_scope in array create_api_key.scopes loop
    if v_scope in ('credits:read', 'credits:write', 'workspaces:read') then
      continue;
    elsif v_scope not in ('ledger:adjust', 'workspaces:write', 'keys:read', 'keys:write', 'ops:read', 'ops:write') then
      perform ops.refuse('scope_unknown', jsonb_build_object('scope', v_scope));
    elsif create_api_key.workspace_id is not null then
      perform ops.refuse('scope_not_for_workspace', jsonb_build_object('scope', v_scope));
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
