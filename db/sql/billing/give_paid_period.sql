-- billing.give_paid_period: what the plan of a subscription of ours includes is given for the period of this number, once for ever; nothing,
-- where neither this plan nor the one before includes anything (`after_trial`: the one that was tried did). Locks: the caller holds workspace and subscription; then the account.
-- Callers: billing.pay_period, billing.renew_due
create or replace function billing.give_paid_period(id uuid, workspace_id uuid, number integer, payment_id uuid, caused_by text,
  after_trial boolean default false)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
  v_invoice text := 'renewal:' || give_paid_period.id || ':' || give_paid_period.number;
begin
  select s.plan_id, s.price_id, s.current_period_start, s.current_period_end, s.renewed_from, p.included_credits into strict v_row
    from billing.subscription s join billing.plan p on p.id = s.plan_id
   where s.id = give_paid_period.id;
  if v_row.included_credits = 0 and v_row.renewed_from is null and not give_paid_period.after_trial then
    return;
  end if;
  insert into billing.renewal
    (subscription_id, invoice, kind, state, plan_id, price_id, amount, starts_at, ends_at, exact, payment_id, created_at)
  values
    (give_paid_period.id, v_invoice, 'period', 'given', v_row.plan_id, v_row.price_id, v_row.included_credits,
     v_row.current_period_start, v_row.current_period_end, true, give_paid_period.payment_id, ops.now());
  perform billing.give_period(give_paid_period.id, give_paid_period.workspace_id, v_invoice, give_paid_period.caused_by);
end
$$;
