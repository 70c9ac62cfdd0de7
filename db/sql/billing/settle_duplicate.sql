-- billing.settle_duplicate: a subscription that another one's workspace does not need: undone (true), or asked for, or left, as
-- billing.duplicates_settle says. Locks: the workspace, then the subscriptions. Callers: billing.duplicates_settle
create or replace function billing.settle_duplicate(workspace_id uuid, id uuid)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  perform people.lock_workspace(settle_duplicate.workspace_id);
  -- A statement of its own: it sees what the lock has waited for.
  select s.provider_id, s.state, s.created_at, s.synced_at, s.sync_due_at, k.id as kept, k.provider_id as kept_provider_id,
         k.state as kept_state, k.synced_at as kept_synced_at, k.sync_due_at as kept_sync_due_at,
         k.collection = 'balance' as kept_is_ours
    into v_row
    from billing.subscription s
    join billing.subscription k on k.id = s.superseded_by
   where s.id = settle_duplicate.id and s.undone_at is null and s.ended_at is null and k.ended_at is null;
  if not found then
    return false;
  elsif v_row.synced_at is null
    or not v_row.kept_is_ours and (v_row.kept_synced_at is null or v_row.kept_synced_at < v_row.created_at) then
    -- Marked once: the mark stays until the provider has answered.
    if v_row.synced_at is null and v_row.sync_due_at is null then
      perform billing.mark_sync(settle_duplicate.id);
    end if;
    if (v_row.kept_synced_at is null or v_row.kept_synced_at < v_row.created_at) and v_row.kept_sync_due_at is null then
      perform billing.mark_sync(v_row.kept);
    end if;
    return false;
  elsif v_row.state = 'incomplete' or v_row.kept_state = 'incomplete' then
    -- What was never paid runs out by itself, or is paid yet.
    return false;
  end if;
  update billing.subscription s set undone_at = ops.now() where s.id = settle_duplicate.id;
  perform messages.enqueue('stripe', 'undo_subscription', settle_duplicate.workspace_id, 'undo:' || v_row.provider_id,
    jsonb_build_object('subscription', v_row.provider_id));
  perform ops.raise_alarm('subscription_duplicate', v_row.provider_id,
    jsonb_build_object('workspace_id', settle_duplicate.workspace_id, 'kept', coalesce(v_row.kept_provider_id, v_row.kept::text)));
  return true;
end
$$;
