-- access.confirm: whoever provisions says that it is done: a key that was pending is there (`active`), one that was removing is gone
-- (`removed`). What the outbox had to say of it is answered by that.
-- Guarantees: one guarded UPDATE (C1); saying it again changes nothing; an audit row in the same statement, where it changed something.
-- Refuses: not_found; key_moved_on (with its state): `active` of one that was revoked meanwhile, `removed` of one that lives.
-- Locks: the key, then the outbox. Callers: worker
create or replace function access.confirm(
  inout id uuid,
  inout state text,
  caused_by text,
  out activated_at timestamptz,
  out revoked_at timestamptz,
  out removed_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_workspace_id uuid;
  v_row record;
begin
  update access.key k
     set state = confirm.state,
         activated_at = case confirm.state when 'active' then ops.now() else k.activated_at end,
         removed_at = case confirm.state when 'removed' then ops.now() end
   where k.id = confirm.id
     and k.state = case confirm.state when 'active' then 'pending' when 'removed' then 'removing' end
  returning k.workspace_id into v_workspace_id;
  if found then
    perform messages.answer('provisioner', case confirm.state when 'active' then 'add:' else 'remove:' end || confirm.id);
    perform ops.record_change(
      workspace_id => v_workspace_id, actor => confirm.caused_by, action => 'access_key.confirm',
      subject => 'access_key:' || confirm.id, detail => jsonb_build_object('state', confirm.state));
  end if;
  select k.state, k.activated_at, k.revoked_at, k.removed_at into v_row from access.key k where k.id = confirm.id;
  if not found then
    perform ops.refuse('not_found');
  elsif v_row.state <> confirm.state then
    perform ops.refuse('key_moved_on', jsonb_build_object('state', v_row.state));
  end if;
  confirm.activated_at := v_row.activated_at;
  confirm.revoked_at := v_row.revoked_at;
  confirm.removed_at := v_row.removed_at;
end
$$;
