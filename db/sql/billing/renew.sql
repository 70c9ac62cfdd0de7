-- billing.renew: what a paid invoice of a subscription gives, once for ever by its id, whoever tells of it and how often (A3).
-- `period`: the pool `subscription` becomes the plan's amount; what was left rolls over as the plan says. `upgrade`: the difference
--   of included credits, for the part of the period that is left, once per subscription, period and plan; a change of quantity alone
--   gives nothing, nor does going back to what the period began with.
-- An invoice whose period has been followed by another gives nothing any more but what would have rolled over; one of a
--   subscription that is over gives nothing; an upgrade whose period has not begun waits for it.
-- Locks: the caller holds the workspace's row; then the subscription, then the account. Waits for (TG010): the price.
-- Callers: payments.apply_invoice, billing.note_checkout
create or replace function billing.renew(
  workspace_id uuid,
  provider_id text,
  invoice text,
  kind text,
  price text,
  from_price text,
  starts_at timestamptz,
  ends_at timestamptz,
  payment_id uuid,
  caused_by text
)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid := billing.ensure_subscription(renew.workspace_id, renew.provider_id);
  v_plan record;
  v_from bigint;
  v_known record;
begin
  update billing.renewal r
     set starts_at = renew.starts_at, ends_at = renew.ends_at
   where r.subscription_id = v_id and r.invoice = renew.invoice
  returning r.kind, r.state, old.starts_at as starts_at into v_known;
  if found then
    -- The checkout knew of the period only about when it began.
    if v_known.kind = 'period' then
      update billing.subscription s set renewed_from = renew.starts_at, renewed_until = renew.ends_at
       where s.id = v_id and s.renewed_from = v_known.starts_at and v_known.state = 'given';
    end if;
    return 'known';
  end if;
  select p.id, r.id as price_id, p.included_credits into v_plan
    from billing.price r join billing.plan p on p.id = r.plan_id
   where r.provider_id = renew.price;
  if not found then
    perform ops.wait_for('price:' || coalesce(renew.price, ''));
  end if;
  if renew.kind = 'upgrade' then
    select p.included_credits into v_from
      from billing.price r join billing.plan p on p.id = r.plan_id
     where r.provider_id = renew.from_price;
    -- Of a change whose other side is unknown, nobody can say the difference.
    if v_from is null or v_from >= v_plan.included_credits then
      return 'nothing';
    end if;
    insert into billing.renewal
      (subscription_id, invoice, kind, state, plan_id, price_id, amount, starts_at, ends_at, payment_id, created_at)
    values
      (v_id, renew.invoice, 'upgrade', 'waiting', v_plan.id, v_plan.price_id, v_plan.included_credits - v_from,
       renew.starts_at, renew.ends_at, renew.payment_id, ops.now())
    on conflict do nothing;
    if not found then
      return 'known';
    end if;
  else
    insert into billing.renewal
      (subscription_id, invoice, kind, state, plan_id, price_id, amount, starts_at, ends_at, payment_id, created_at)
    values
      (v_id, renew.invoice, 'period', 'waiting', v_plan.id, v_plan.price_id, v_plan.included_credits, renew.starts_at,
       renew.ends_at, renew.payment_id, ops.now());
  end if;
  perform billing.give_waiting(v_id, renew.caused_by);
  return (select r.state from billing.renewal r where r.subscription_id = v_id and r.invoice = renew.invoice);
end
$$;
