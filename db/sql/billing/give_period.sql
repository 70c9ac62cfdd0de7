-- billing.give_period: a period begins: what is left of the last rolls over as the plan says, and the pool `subscription` becomes
-- the plan's amount. No other pool is touched (A3). What rolls over expires as long after the period's beginning as the plan says,
-- however late its invoice is told. Locks: the caller holds workspace and subscription; then the account.
-- Callers: billing.give_waiting, billing.give_paid_period
create or replace function billing.give_period(id uuid, workspace_id uuid, invoice text, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_renewal record;
  v_expires_at timestamptz;
begin
  select r.amount, r.starts_at, r.ends_at, r.payment_id, p.rollover_cap, p.rollover_expires_in into strict v_renewal
    from billing.renewal r join billing.plan p on p.id = r.plan_id
   where r.subscription_id = give_period.id and r.invoice = give_period.invoice;
  v_expires_at := v_renewal.starts_at + v_renewal.rollover_expires_in;
  if v_renewal.rollover_cap is not null and v_expires_at > ops.now() is not false then
    perform ledger.roll_over(owner_id => give_period.workspace_id, unit => 'credit', pool => 'subscription',
      cap => v_renewal.rollover_cap, expires_at => v_expires_at,
      idempotency_key => 'tg:rollover:' || give_period.invoice, caused_by => give_period.caused_by);
  end if;
  perform ledger.reset(owner_id => give_period.workspace_id, unit => 'credit', pool => 'subscription',
    amount => v_renewal.amount, expires_at => null, reason => null, idempotency_key => 'tg:invoice:' || give_period.invoice,
    caused_by => give_period.caused_by, payment_id => v_renewal.payment_id);
  update billing.subscription s set renewed_from = v_renewal.starts_at, renewed_until = v_renewal.ends_at
   where s.id = give_period.id;
end
$$;
