-- billing.change_ours: a change of a workspace's subscription of ours, as billing.begin_change says; false: it has none (one whose
-- time is over is none, though no sweep has ended it yet), and nothing was done. Locks: the caller holds the workspace's row; then the subscription, and what follows. Refuses: plan_unknown, price_unknown,
--   change_invalid (with why). Guarantees: an audit row in the same statement. Callers: billing.begin_change
create or replace function billing.change_ours(
  workspace_id uuid,
  change text,
  plan_code text,
  plan_number integer,
  quantity integer,
  caused_by text
)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
  v_offer record;
  v_reason text;
begin
  select s.id, s.state, s.price_id, s.quantity, s.cancel_at, s.next_price_id, s.next_quantity, r.currency, r.interval_unit,
         r.interval_count, p.code, p.number
    into v_row
    from billing.subscription s
    join billing.price r on r.id = s.price_id
    join billing.plan p on p.id = s.plan_id
   where s.workspace_id = change_ours.workspace_id and s.collection = 'balance' and s.ended_at is null
     and s.superseded_by is null and s.expire_at > ops.now();
  if not found then
    return false;
  end if;
  v_reason := case
    when change_ours.change in ('upgrade', 'quantity') then 'what is paid from the balance changes with its next period'
    when change_ours.change = 'uncancel' and v_row.cancel_at is null then 'it is not being cancelled'
    when change_ours.change = 'keep' and v_row.next_price_id is null and v_row.next_quantity is null then 'no change is scheduled'
    end;
  if change_ours.change = 'downgrade' then
    v_offer := billing.offer(coalesce(change_ours.plan_code, v_row.code),
      case when change_ours.plan_code is null then v_row.number else change_ours.plan_number end, null, v_row.currency,
      v_row.interval_unit, v_row.interval_count, published => false);
    if v_offer.price_id = v_row.price_id and coalesce(change_ours.quantity, v_row.quantity) = v_row.quantity then
      v_reason := 'it is what the subscription has';
    end if;
  end if;
  if v_reason is not null then
    perform ops.refuse('change_invalid', jsonb_build_object('reason', v_reason));
  elsif change_ours.change = 'downgrade' then
    update billing.subscription s
       set next_price_id = nullif(v_offer.price_id, s.price_id),
           next_price_at = case when v_offer.price_id <> s.price_id then s.current_period_end end,
           next_quantity = nullif(change_ours.quantity, s.quantity)
     where s.id = v_row.id;
  elsif change_ours.change = 'keep' then
    update billing.subscription s set next_price_id = null, next_price_at = null, next_quantity = null where s.id = v_row.id;
  elsif change_ours.change = 'cancel_now' or change_ours.change = 'cancel' and v_row.state = 'past_due' then
    perform billing.end_due(array[v_row.id], change_ours.caused_by, reason => 'canceled');
  else
    update billing.subscription s
       set cancel_at = case change_ours.change when 'cancel' then s.current_period_end end,
           canceled_at = case change_ours.change when 'cancel' then ops.now() end
     where s.id = v_row.id;
    perform billing.reschedule(v_row.id);
  end if;
  perform ops.record_change(
    workspace_id => change_ours.workspace_id, actor => change_ours.caused_by,
    action => 'subscription.' || change_ours.change, subject => 'subscription:' || v_row.id,
    detail => jsonb_build_object('plan', change_ours.plan_code, 'quantity', change_ours.quantity));
  return true;
end
$$;
