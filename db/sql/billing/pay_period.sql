-- billing.pay_period: a period of a price was paid for, by itself or from the balance: a subscription of ours begins with it; or the one
-- that lives goes on. A trial ends at this moment (D8). One whose period is over has paid what it owed: its period began where the
-- last one ended, or now, where that would be over already, or where it was not to go on (no sweep has ended it yet). One that is
-- paid for is paid for longer, and what was arranged for afterwards comes afterwards. Answers the subscription.
-- Guarantees: period numbers only grow; what the plan gives is given once (by the subscription and the period's number); the
--   key that it has stays. Locks: the caller holds the workspace's row, and has the money; then the subscription, the accounts, the
--   key. Refuses: subscription_exists (with its state). Callers: payments.deliver
create or replace function billing.pay_period(
  workspace_id uuid,
  price_id uuid,
  quantity integer,
  auto_renew boolean,
  payment_id uuid,
  caused_by text
)
  returns uuid
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_refusal text := billing.may_pay_period(pay_period.workspace_id, pay_period.price_id, pay_period.quantity);
  v_price record;
  v_row record;
  v_now timestamptz := ops.now();
  v_id uuid;
  v_number integer;
  v_anew boolean;
  v_ahead boolean;
begin
  if v_refusal is not null then
    perform ops.refuse('subscription_exists', jsonb_build_object('state', v_refusal));
  end if;
  select r.plan_id, r.interval_unit, r.interval_count, (r.interval_count || ' ' || r.interval_unit)::interval as every
    into strict v_price
    from billing.price r
   where r.id = pay_period.price_id;
  select s.id, s.state, s.period_number, s.anchor, s.anchor_number, s.current_period_start, s.current_period_end, s.cancel_at,
         s.expire_at, o.interval_unit, o.interval_count, p.included_credits
    into v_row
    from billing.subscription s
    join billing.price o on o.id = s.price_id
    join billing.plan p on p.id = s.plan_id
   where s.workspace_id = pay_period.workspace_id and s.ended_at is null and s.superseded_by is null;
  v_number := coalesce(v_row.period_number, 0) + 1;
  v_anew := v_row.state is null or v_row.state = 'trialing' or v_row.expire_at <= v_now;
  v_ahead := not v_anew and v_row.current_period_end > v_now;
  -- By name: as lengths of time a month and thirty days are the same.
  if not v_anew and (v_row.interval_unit, v_row.interval_count) <> (v_price.interval_unit, v_price.interval_count) then
    v_row.anchor := v_row.current_period_end;
    v_row.anchor_number := v_number;
  end if;
  -- Where it stood, or, of the first and of what a customer comes back to, now.
  if v_anew or billing.period_starts_at(v_row.anchor, v_price.every, v_number + 1 - v_row.anchor_number) <= v_now then
    v_row.anchor := v_now;
    v_row.anchor_number := v_number;
    v_row.current_period_start := v_now;
  elsif not v_ahead then
    v_row.current_period_start := v_row.current_period_end;
  end if;
  v_row.current_period_end := billing.period_starts_at(v_row.anchor, v_price.every, v_number + 1 - v_row.anchor_number);
  if v_row.state is null then
    v_id := uuidv7();
    insert into billing.subscription
      (id, workspace_id, collection, plan_id, price_id, quantity, state, current_period_start, current_period_end, lived, anchor,
       anchor_number, period_number, auto_renew, expire_at, created_at)
    values
      (v_id, pay_period.workspace_id, 'balance', v_price.plan_id, pay_period.price_id, pay_period.quantity, 'active',
       v_row.current_period_start, v_row.current_period_end, true, v_row.anchor, v_row.anchor_number, v_number,
       pay_period.auto_renew, v_row.current_period_end, v_now);
  else
    v_id := v_row.id;
    update billing.subscription s
       set state = 'active', plan_id = v_price.plan_id, price_id = pay_period.price_id, quantity = pay_period.quantity,
           current_period_start = v_row.current_period_start, current_period_end = v_row.current_period_end,
           trial_end = case when s.state = 'trialing' then v_now else s.trial_end end,
           auto_renew = case when v_anew then pay_period.auto_renew else s.auto_renew end,
           -- Who had cancelled and pays on has paid for longer, and is not renewed.
           cancel_at = case when s.cancel_at is not null and not v_anew then v_row.current_period_end end,
           canceled_at = case when not v_anew then s.canceled_at end,
           next_price_id = case when v_ahead then s.next_price_id end,
           next_price_at = case when v_ahead and s.next_price_id is not null then v_row.current_period_end end,
           next_quantity = case when v_ahead then s.next_quantity end, past_due_since = null,
           -- It was about another end.
           notice_at = null,
           anchor = v_row.anchor, anchor_number = v_row.anchor_number, period_number = v_number
     where s.id = v_id;
  end if;
  perform billing.reschedule(v_id);
  perform billing.give_paid_period(v_id, pay_period.workspace_id, v_number, pay_period.payment_id, pay_period.caused_by,
    coalesce(v_row.state = 'trialing' and v_row.included_credits > 0, false));
  perform billing.follow(pay_period.workspace_id);
  return v_id;
end
$$;
