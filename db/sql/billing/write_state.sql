-- billing.write_state: a subscription becomes what the provider says of it, and what follows from that is done.
-- `seen_at`, `seen_rank`: the event's time and rank (null: it was fetched); `synced_at`: our time before it was fetched.
-- When it ends, what its plan had given and nobody has spent ends with it (pools subscription and rollover), once.
-- Locks: the caller holds the workspace's row; then the subscription, and what follows. Waits for (TG010): the price.
-- Callers: billing.apply_subscription, billing.sync_subscription
create or replace function billing.write_state(
  id uuid,
  fact jsonb,
  seen_at timestamptz,
  seen_rank integer,
  synced_at timestamptz,
  caused_by text
)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_status text := case when write_state.fact ->> 'event' = 'deleted' then 'canceled' else write_state.fact ->> 'status' end;
  v_over boolean := v_status in ('canceled', 'incomplete_expired');
  v_at timestamptz := coalesce(write_state.seen_at, write_state.synced_at);
  v_price record;
  v_next uuid;
  v_row record;
begin
  select p.id, p.plan_id into v_price from billing.price p where p.provider_id = write_state.fact ->> 'price';
  if not found and not v_over then
    perform ops.wait_for('price:' || coalesce(write_state.fact ->> 'price', ''));
  end if;
  select p.id into v_next from billing.price p where p.provider_id = write_state.fact ->> 'next_price';
  update billing.subscription s
     set state = v_status,
         plan_id = coalesce(v_price.plan_id, s.plan_id),
         price_id = coalesce(v_price.id, s.price_id),
         quantity = coalesce((write_state.fact ->> 'quantity')::integer, 1),
         current_period_start = billing.second_of(write_state.fact, 'current_period_start'),
         current_period_end = billing.second_of(write_state.fact, 'current_period_end'),
         trial_end = billing.second_of(write_state.fact, 'trial_end'),
         cancel_at = billing.second_of(write_state.fact, 'cancel_at'),
         canceled_at = billing.second_of(write_state.fact, 'canceled_at'),
         ended_at = case when v_over then coalesce(billing.second_of(write_state.fact, 'ended_at'), v_at) end,
         schedule_id = write_state.fact ->> 'schedule',
         -- An event names the schedule and not what it will do: whoever fetches it knows.
         next_price_id = case when write_state.fact ->> 'schedule' is null then null
           when write_state.fact ? 'next_price' then v_next else s.next_price_id end,
         next_price_at = case when write_state.fact ->> 'schedule' is null then null
           when write_state.fact ? 'next_price' then billing.second_of(write_state.fact, 'next_price_at')
           else s.next_price_at end,
         past_due_since = case when v_status in ('past_due', 'unpaid')
           then billing.owes_since(s.owing, s.healthy_at, s.past_due_since, v_at) end,
         seen_at = greatest(s.seen_at, write_state.seen_at),
         seen_rank = case when write_state.seen_at >= s.seen_at or s.seen_at is null
           then coalesce(write_state.seen_rank, s.seen_rank) else s.seen_rank end,
         lived = s.lived or v_status not in ('incomplete', 'incomplete_expired', 'canceled'),
         synced_at = greatest(s.synced_at, write_state.synced_at),
         sync_due_at = case when v_over then null
           when write_state.synced_at is not null then null
           when write_state.fact ->> 'schedule' is distinct from s.schedule_id then ops.now()
           -- Made provisionally, and told now.
           when s.seen_at is null then null
           else s.sync_due_at end,
         sync_token = null,
         sync_attempts = 0
   where s.id = write_state.id
  returning s.workspace_id, s.provider_id, s.superseded_by, old.renewed_from into strict v_row;
  if v_over and v_row.superseded_by is null and v_row.renewed_from is not null then
    perform ledger.reset(owner_id => v_row.workspace_id, unit => 'credit', pool => 'subscription', amount => 0,
      expires_at => null, reason => 'the subscription has ended', idempotency_key => 'tg:ended:' || write_state.id,
      caused_by => write_state.caused_by);
    perform ledger.reset(owner_id => v_row.workspace_id, unit => 'credit', pool => 'rollover', amount => 0,
      expires_at => null, reason => 'the subscription has ended',
      idempotency_key => 'tg:ended:' || write_state.id || ':rollover', caused_by => write_state.caused_by);
  end if;
  if v_over then
    -- What its invoices wait for comes no more.
    perform billing.give_waiting(write_state.id, write_state.caused_by);
  else
    -- Events have whole seconds: one of the second in which it was fetched may tell of its later half.
    perform billing.note_owing(write_state.id, v_status, date_trunc('second', v_at)
      - case when write_state.seen_at is null and v_status not in ('past_due', 'unpaid')
          then interval '1 microsecond' else interval '0' end);
  end if;
  perform billing.choose_live(v_row.workspace_id, write_state.caused_by);
  perform billing.follow(v_row.workspace_id);
end
$$;
