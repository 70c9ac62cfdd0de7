-- billing.duplicates_settle: of two subscriptions of a workspace that were both paid, one is kept. The other is cancelled at the
-- provider and what it took is refunded (outbox), under an alarm: but only when the provider has said of both, since the
-- second was first heard of, that they live.
-- Guarantees: once per subscription. Locks: the workspace, then the subscriptions. Callers: worker (sweep duplicates_settle)
create or replace function billing.duplicates_settle(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_candidate record;
  v_row record;
begin
  duplicates_settle.processed := 0;
  duplicates_settle.failed := 0;
  duplicates_settle.more := false;
  for v_candidate in
    select s.id, s.workspace_id from billing.subscription s
     where s.superseded_by is not null and s.undone_at is null and s.ended_at is null
     order by s.id
     limit duplicates_settle.batch
  loop
    perform people.lock_workspace(v_candidate.workspace_id);
    select s.id, s.provider_id, s.state, s.created_at, s.synced_at, s.sync_due_at, k.id as kept, k.provider_id as kept_provider_id,
           k.state as kept_state, k.synced_at as kept_synced_at
      into v_row
      from billing.subscription s
      join billing.subscription k on k.id = s.superseded_by
     where s.id = v_candidate.id and s.undone_at is null and s.ended_at is null and k.ended_at is null;
    continue when not found;
    if v_row.kept_synced_at is null or v_row.kept_synced_at < v_row.created_at then
      perform billing.mark_sync(v_row.kept);
      continue;
    end if;
    -- What was never paid runs out by itself, or is paid yet.
    continue when v_row.state = 'incomplete' or v_row.kept_state = 'incomplete' or v_row.synced_at is null;
    update billing.subscription s set undone_at = ops.now() where s.id = v_row.id;
    perform messages.enqueue('stripe', 'undo_subscription', v_candidate.workspace_id, 'undo:' || v_row.provider_id,
      jsonb_build_object('subscription', v_row.provider_id));
    perform ops.raise_alarm('subscription_duplicate', v_row.provider_id,
      jsonb_build_object('workspace_id', v_candidate.workspace_id, 'kept', v_row.kept_provider_id));
    duplicates_settle.processed := duplicates_settle.processed + 1;
  end loop;
end
$$;
