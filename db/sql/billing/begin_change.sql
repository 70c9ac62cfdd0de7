-- billing.begin_change: what the provider is to be asked for, so that a workspace's subscription changes: `upgrade` (now, prorated;
-- never to a plan that costs less: what was paid for would come back, and the credits that it gave would stay), `downgrade` (when
-- the period ends), `quantity`, `cancel` (when the period ends), `cancel_now`, `uncancel`, `keep` (a change that
-- was scheduled is not made). Nothing of it is true before the provider says so: billing.sync_subscription writes the answer.
-- One of ours (collection `balance`) is changed here and now, and `provider_id` is null: there is nobody to ask. What is paid for
-- stays until its period ends; one that owes, whose period is over, ends at once when it is cancelled.
-- Guarantees: if that answer is lost, a sweep fetches it; an audit row in the same statement.
-- Refuses: no_subscription, plan_unknown, price_unknown, price_not_published, change_invalid (with why).
-- Locks: the workspace, then the subscription. Callers: worker
create or replace function billing.begin_change(
  workspace_id uuid,
  change text,
  plan_code text,
  plan_number integer,
  inout quantity integer,
  caused_by text,
  out id uuid,
  out provider_id text,
  out schedule_id text,
  out price_provider_id text,
  out current_price_provider_id text,
  out current_period_end timestamptz,
  out asked_at timestamptz,
  out generation integer
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
  v_price record;
  v_offer record;
begin
  perform people.lock_workspace(begin_change.workspace_id);
  if billing.change_ours(begin_change.workspace_id, begin_change.change, begin_change.plan_code, begin_change.plan_number,
    begin_change.quantity, begin_change.caused_by) then
    return;
  end if;
  select s.id, s.provider_id, s.schedule_id, s.quantity, s.state, s.cancel_at, s.current_period_end, s.price_id into v_row
    from billing.subscription s
   where s.workspace_id = begin_change.workspace_id and s.ended_at is null and s.superseded_by is null
     and s.provider_id is not null and s.price_id is not null
     for no key update;
  if not found then
    perform ops.refuse('no_subscription');
  end if;
  select p.provider_id, p.currency, p.interval_unit, p.interval_count, p.amount_minor into strict v_price
    from billing.price p
   where p.id = v_row.price_id;
  begin_change.price_provider_id := v_price.provider_id;
  if begin_change.change in ('upgrade', 'downgrade') then
    v_offer := billing.offer(begin_change.plan_code, begin_change.plan_number, null, v_price.currency, v_price.interval_unit,
      v_price.interval_count);
    begin_change.price_provider_id := v_offer.price_provider_id;
    if v_offer.price_id = v_row.price_id and coalesce(begin_change.quantity, v_row.quantity) = v_row.quantity then
      perform ops.refuse('change_invalid', jsonb_build_object('reason', 'it is what the subscription has'));
    elsif begin_change.change = 'upgrade' and v_offer.amount_minor < v_price.amount_minor then
      perform ops.refuse('change_invalid',
        jsonb_build_object('reason', 'a plan that costs less begins with the next period'));
    end if;
  elsif begin_change.change = 'quantity' and begin_change.quantity is null then
    perform ops.refuse('change_invalid', jsonb_build_object('reason', 'there is nothing to change'));
  elsif begin_change.change = 'uncancel' and v_row.cancel_at is null then
    perform ops.refuse('change_invalid', jsonb_build_object('reason', 'it is not being cancelled'));
  elsif begin_change.change = 'keep' and v_row.schedule_id is null then
    perform ops.refuse('change_invalid', jsonb_build_object('reason', 'no change is scheduled'));
  end if;
  if begin_change.change in ('upgrade', 'downgrade', 'quantity') and v_row.state not in ('active', 'trialing') then
    perform ops.refuse('change_invalid', jsonb_build_object('reason', 'the subscription is ' || v_row.state));
  end if;
  begin_change.quantity := coalesce(begin_change.quantity, v_row.quantity);
  begin_change.id := v_row.id;
  begin_change.provider_id := v_row.provider_id;
  begin_change.schedule_id := v_row.schedule_id;
  begin_change.current_price_provider_id := v_price.provider_id;
  begin_change.current_period_end := v_row.current_period_end;
  begin_change.asked_at := ops.now();
  update billing.subscription s
     set sync_due_at = least(s.sync_due_at, ops.now() + interval '1 minute')
   where s.id = v_row.id
  returning s.version into begin_change.generation;
  perform ops.record_change(
    workspace_id => begin_change.workspace_id, actor => begin_change.caused_by,
    action => 'subscription.' || begin_change.change, subject => 'subscription:' || v_row.id,
    detail => jsonb_build_object('plan', begin_change.plan_code, 'quantity', begin_change.quantity));
end
$$;
