-- billing.set_renewal: how the workspace's subscription of ours goes on: whether its next period is paid from the balance, and of what
-- plan, interval and quantity that is (null: as it is). Takes back an end that was asked for.
-- Refuses: no_subscription (none, or a provider's, or one whose time is over, though no sweep has ended it yet); plan_unknown, price_unknown. Guarantees: an audit row in the same statement.
-- Locks: the workspace, then the subscription. Callers: worker
create or replace function billing.set_renewal(
  workspace_id uuid,
  auto_renew boolean,
  plan_code text,
  plan_number integer,
  interval_unit text,
  interval_count integer,
  quantity integer,
  caused_by text,
  out id uuid,
  out renew_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
  v_offer record;
begin
  perform people.lock_workspace(set_renewal.workspace_id);
  select s.id, s.state, s.price_id, s.quantity, r.currency, r.interval_unit, r.interval_count, p.code, p.number into v_row
    from billing.subscription s
    join billing.price r on r.id = s.price_id
    join billing.plan p on p.id = s.plan_id
   where s.workspace_id = set_renewal.workspace_id and s.collection = 'balance' and s.ended_at is null
     and s.superseded_by is null and s.expire_at > ops.now();
  if not found then
    perform ops.refuse('no_subscription');
  end if;
  v_offer := billing.offer(coalesce(set_renewal.plan_code, v_row.code),
    case when set_renewal.plan_code is null then v_row.number else set_renewal.plan_number end, null, v_row.currency,
    coalesce(set_renewal.interval_unit, v_row.interval_unit), coalesce(set_renewal.interval_count, v_row.interval_count),
    published => false);
  update billing.subscription s
     set auto_renew = set_renewal.auto_renew, cancel_at = null, canceled_at = null,
         next_price_id = nullif(v_offer.price_id, s.price_id),
         next_price_at = case when v_offer.price_id <> s.price_id then s.current_period_end end,
         next_quantity = nullif(set_renewal.quantity, s.quantity)
   where s.id = v_row.id;
  if v_row.state = 'past_due' then
    update billing.subscription s
       set renew_at = case when set_renewal.auto_renew then least(s.renew_at, ops.now()) end
     where s.id = v_row.id;
  else
    perform billing.reschedule(v_row.id);
  end if;
  set_renewal.id := v_row.id;
  select s.renew_at into strict set_renewal.renew_at from billing.subscription s where s.id = v_row.id;
  perform ops.record_change(
    workspace_id => set_renewal.workspace_id, actor => set_renewal.caused_by, action => 'subscription.renewal',
    subject => 'subscription:' || v_row.id,
    detail => jsonb_build_object('auto_renew', set_renewal.auto_renew, 'plan', set_renewal.plan_code,
      'quantity', set_renewal.quantity));
end
$$;
