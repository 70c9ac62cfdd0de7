-- billing.apply_subscription: takes the state that an event tells, if it is newer than what is known (B2).
-- Whatever comes of it, it was so at that moment (billing.note_owing).
-- The rule: `canceled` and `incomplete_expired` are final, and `deleted` always applies. Else the provider's time decides, which has
--   whole seconds: within one, `created` is older than any other; what differs otherwise, or was sent before the object was last
--   fetched, is in doubt: the row is fetched (law: order). What is older is left. An event whose object had to be fetched tells
--   nothing of its own moment: it would date what is owed now to a time when nothing was. What differs is fetched.
-- Locks: the workspace, then the subscription, then what follows. Waits for (TG010): the customer, the price.
-- Callers: ops.apply_event
create or replace function billing.apply_subscription(provider text, fact jsonb, occurred_at timestamptz, caused_by text)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_workspace uuid := payments.workspace_of(apply_subscription.provider, apply_subscription.fact ->> 'customer');
  v_rank integer := case apply_subscription.fact ->> 'event' when 'created' then 0 when 'deleted' then 2 else 1 end;
  v_id uuid;
  v_row record;
  v_differs boolean;
begin
  if v_workspace is null then
    perform ops.wait_for('customer:' || coalesce(apply_subscription.fact ->> 'customer', ''));
  end if;
  perform people.lock_workspace(v_workspace);
  v_id := billing.ensure_subscription(v_workspace, apply_subscription.fact ->> 'subscription');
  select s.id, s.ended_at, s.seen_at, s.seen_rank, s.synced_at into strict v_row
    from billing.subscription s
   where s.id = v_id;

  if v_row.ended_at is not null then
    -- What is final is left, but for this: that it was more than incomplete once.
    update billing.subscription s set lived = true
     where s.id = v_id and not s.lived
       and apply_subscription.fact ->> 'status' not in ('incomplete', 'incomplete_expired', 'canceled');
    if found then
      perform billing.follow(v_workspace);
    end if;
    return 'final';
  elsif v_rank < 2 then
    v_differs := billing.differs(v_row.id, apply_subscription.fact);
    if apply_subscription.fact ? 'fetched' then
      if v_differs then
        perform billing.mark_sync(v_row.id);
      end if;
      return case when v_differs then 'doubt' else 'same' end;
    end if;
    perform billing.note_owing(v_row.id, apply_subscription.fact ->> 'status', apply_subscription.occurred_at);
    perform billing.follow(v_workspace);
    if (apply_subscription.occurred_at, v_rank) < (v_row.seen_at, v_row.seen_rank) then
      update billing.subscription s set lived = true
       where s.id = v_id and not s.lived and apply_subscription.fact ->> 'status' not in ('incomplete', 'incomplete_expired');
      return 'stale';
    elsif not v_differs then
      update billing.subscription s
         set seen_at = apply_subscription.occurred_at, seen_rank = v_rank
       where s.id = v_row.id;
      return 'same';
    elsif (apply_subscription.occurred_at, v_rank) = (v_row.seen_at, v_row.seen_rank) then
      perform billing.mark_sync(v_row.id);
      return 'tie';
    elsif apply_subscription.occurred_at <= v_row.synced_at + interval '1 minute' then
      -- Clocks differ by seconds; what was fetched may be newer than this.
      perform billing.mark_sync(v_row.id);
      return 'doubt';
    end if;
  end if;
  perform billing.write_state(v_row.id, apply_subscription.fact, apply_subscription.occurred_at, v_rank, null,
    apply_subscription.caused_by);
  return 'written';
end
$$;
