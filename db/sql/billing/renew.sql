-- billing.renew: what a paid invoice of a subscription gives, once for ever by its id, whoever tells of it and how often (A3).
-- `period`: the pool `subscription` becomes the plan's amount; what was left rolls over as the plan says. `upgrade`: the difference
--   of included credits, for the part of the period that is left; a change of quantity alone gives nothing, nor does going back
--   to a plan that the period has had.
-- An invoice whose period has been followed by another gives nothing any more but what would have rolled over; one of a
--   subscription that is over gives nothing; an upgrade whose period is not known waits for it.
-- `exact`: the teller knows the period (the invoice), and not only about when it began (its checkout).
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
  caused_by text,
  exact boolean default true
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
  select r.state, r.exact, r.starts_at, r.ends_at into v_known
    from billing.renewal r
   where r.subscription_id = v_id and r.invoice = renew.invoice;
  if found then
    if renew.exact and not v_known.exact then
      update billing.renewal r
         set starts_at = renew.starts_at, ends_at = renew.ends_at, exact = true
       where r.subscription_id = v_id and r.invoice = renew.invoice;
      update billing.subscription s
         set renewed_from = renew.starts_at,
             renewed_until = case when s.renewed_until = v_known.ends_at then renew.ends_at else s.renewed_until end
       where s.id = v_id and v_known.state = 'given' and s.renewed_from = v_known.starts_at;
      -- Changes within it may have waited to know it.
      perform billing.give_waiting(v_id, renew.caused_by);
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
    -- Of a change whose other side is unknown, nobody can say the difference. One of interval begins a period, whatever it gives.
    if v_from is null or v_from >= v_plan.included_credits
      and billing.period_after(v_plan.price_id, renew.starts_at) <> renew.ends_at then
      return 'nothing';
    end if;
  end if;
  insert into billing.renewal
    (subscription_id, invoice, kind, state, plan_id, price_id, amount, starts_at, ends_at, exact, payment_id, created_at)
  values
    (v_id, renew.invoice, renew.kind, 'waiting', v_plan.id, v_plan.price_id,
     greatest(0, v_plan.included_credits - coalesce(v_from, 0)), renew.starts_at, renew.ends_at, renew.exact,
     renew.payment_id, ops.now());
  perform billing.give_waiting(v_id, renew.caused_by);
  -- Only now may it be known of one which is over that it lived.
  update billing.subscription s set lived = true where s.id = v_id and not s.lived;
  if found then
    perform billing.follow(renew.workspace_id);
  end if;
  -- A payment may be on its way for days. One that comes after its subscription was undone has bought nothing, and goes back too.
  if exists (select from billing.subscription s where s.id = v_id and s.undone_at is not null) then
    perform messages.enqueue('stripe', 'undo_subscription', renew.workspace_id, 'undo:' || renew.provider_id || ':' || renew.invoice,
      jsonb_build_object('subscription', renew.provider_id));
  end if;
  return (select r.state from billing.renewal r where r.subscription_id = v_id and r.invoice = renew.invoice);
end
$$;
