-- access.follow: which of a workspace's subscriptions is to have a key (null: none). Its first key is made, and the provisioner is told
-- to add it; every other one of the workspace's that lives is revoked, and the provisioner is told to remove it. Both in the
-- statement that says so (D18).
-- Guarantees: a subscription that is paid on keeps the key that it has (D19), by the index key_live_once and no look before; saying the
--   same again changes nothing. A key that was revoked is not added afterwards: what was to add it is not sent any more, and what
--   removes it waits until whoever is sending that has done.
-- Locks: the caller holds the workspace's row; then the keys, then the outbox. Callers: billing.follow
create or replace function access.follow(workspace_id uuid, subscription_id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
  v_key record;
begin
  for v_key in
    update access.key k set state = 'removing', revoked_at = ops.now()
     where k.workspace_id = follow.workspace_id and k.state in ('pending', 'active')
       and k.subscription_id is distinct from follow.subscription_id
    returning k.id, k.key, k.adds
  loop
    -- Of what adds it only the newest may be on its way: no other is sent before that was settled (access.reconcile).
    perform messages.enqueue('provisioner', 'remove_key', follow.workspace_id, 'remove:' || v_key.id,
      jsonb_build_object('key_id', v_key.id, 'key', v_key.key),
      due_at => messages.cancel('provisioner', access.add_name(v_key.id, v_key.adds)));
  end loop;
  if follow.subscription_id is not null then
    -- Random, all 122 bits: whoever has it is let in.
    insert into access.key as k (id, key, workspace_id, subscription_id, state, created_at)
    values (uuidv7(), gen_random_uuid(), follow.workspace_id, follow.subscription_id, 'pending', ops.now())
    on conflict (subscription_id) where state in ('pending', 'active') do nothing
    returning k.id, k.key into v_key;
    if found then
      perform messages.enqueue('provisioner', 'add_key', follow.workspace_id, access.add_name(v_key.id, 0),
        jsonb_build_object('key_id', v_key.id, 'key', v_key.key));
    end if;
  end if;
end
$$;
