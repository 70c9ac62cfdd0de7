-- billing.sync_subscription: what the provider answered when it was asked for the subscription is written, if the row is still
-- at the `generation` that it had before (compare-and-swap), or else asked for again. A null fact: there is no such thing there.
-- `asked_at`: our time before the question: events of an earlier moment tell nothing new any more.
-- Guarantees: right whoever else writes at once: the last to be written was asked for after all that was known. A doubt that
--   came meanwhile stands, also when this answer agrees with the row: it may be older than what the doubt is about.
-- Locks: the workspace, then the subscription, then what follows. Refuses: not_found. Callers: worker
create or replace function billing.sync_subscription(
  inout id uuid,
  generation integer,
  asked_at timestamptz,
  fact jsonb,
  out outcome text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  select s.workspace_id into v_row from billing.subscription s where s.id = sync_subscription.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
  perform people.lock_workspace(v_row.workspace_id);
  select s.workspace_id, s.version, s.ended_at, s.provider_id into strict v_row
    from billing.subscription s
   where s.id = sync_subscription.id
     for no key update;
  if v_row.ended_at is not null then
    sync_subscription.outcome := 'final';
  elsif v_row.version <> sync_subscription.generation then
    if sync_subscription.fact is not null and not billing.differs(sync_subscription.id, sync_subscription.fact) then
      sync_subscription.outcome := 'same';
    else
      perform billing.mark_sync(sync_subscription.id);
      sync_subscription.outcome := 'moved_on';
    end if;
  elsif sync_subscription.fact is null then
    perform ops.raise_alarm('subscription_unknown_there', v_row.provider_id,
      jsonb_build_object('workspace_id', v_row.workspace_id));
    update billing.subscription s set sync_due_at = null, sync_token = null, synced_at = sync_subscription.asked_at
     where s.id = sync_subscription.id;
    sync_subscription.outcome := 'gone';
  elsif not billing.differs(sync_subscription.id, sync_subscription.fact) then
    update billing.subscription s
       set sync_due_at = null, sync_token = null, sync_attempts = 0,
           synced_at = greatest(s.synced_at, sync_subscription.asked_at),
           -- It agrees, and says when it was seen to owe: more than two events of one second do.
           past_due_since = case when s.state in ('past_due', 'unpaid')
             then billing.owes_since(s.owing, s.healthy_at, s.past_due_since, sync_subscription.asked_at) end
     where s.id = sync_subscription.id
    returning s.workspace_id, old.past_due_since is distinct from s.past_due_since as moved into strict v_row;
    if v_row.moved then
      perform billing.follow(v_row.workspace_id);
    end if;
    sync_subscription.outcome := 'same';
  else
    perform billing.write_state(sync_subscription.id, sync_subscription.fact, null, null, sync_subscription.asked_at, 'sync');
    sync_subscription.outcome := 'written';
  end if;
end
$$;
