-- billing.give_upgrade: the positive difference of included credits for what is left of the period, counted from the better of
-- the plan that was left and the plan that the period began with. Locks: the caller holds workspace and subscription.
-- Callers: billing.give_waiting
create or replace function billing.give_upgrade(id uuid, workspace_id uuid, invoice text, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_renewal record;
  v_began_with bigint;
  v_part numeric;
  v_amount bigint;
begin
  select r.amount, r.price_id, r.starts_at, r.ends_at, r.payment_id, p.included_credits into strict v_renewal
    from billing.renewal r join billing.plan p on p.id = r.plan_id
   where r.subscription_id = give_upgrade.id and r.invoice = give_upgrade.invoice;
  select r.amount into v_began_with
    from billing.renewal r
   where r.subscription_id = give_upgrade.id and r.kind = 'period' and r.state = 'given'
     and r.starts_at <= v_renewal.starts_at
   order by r.starts_at desc
   limit 1;
  v_part := billing.part_of_period(v_renewal.price_id, v_renewal.starts_at, v_renewal.ends_at);
  v_amount := floor(v_part * least(v_renewal.amount, v_renewal.included_credits - coalesce(v_began_with, 0)));
  if v_amount > 0 then
    perform ledger.grant(owner_id => give_upgrade.workspace_id, unit => 'credit', pool => 'subscription', amount => v_amount,
      expires_at => null, reason => null, idempotency_key => 'tg:invoice:' || give_upgrade.invoice,
      caused_by => give_upgrade.caused_by, payment_id => v_renewal.payment_id);
  end if;
  if v_part = 1 then
    update billing.subscription s
       set renewed_from = greatest(s.renewed_from, v_renewal.starts_at), renewed_until = greatest(s.renewed_until, v_renewal.ends_at)
     where s.id = give_upgrade.id;
  end if;
end
$$;
