-- billing.give_difference: an invoice that counts now, and begins no period, gives what it adds to `pool` and `rollover`, which were
-- what the subscription's invoices gave without it: to the pool `subscription` what the newest period gains (an upgrade), and to
-- `rollover` what would have rolled over from a period that another has followed, under the cap and to the expiry of that one.
-- Locks: the caller holds workspace and subscription; then the account. Callers: billing.give_waiting
create or replace function billing.give_difference(
  id uuid,
  workspace_id uuid,
  invoice text,
  pool bigint,
  rollover bigint,
  caused_by text
)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now record := billing.in_order(give_difference.id);
  v_renewal record;
  v_next record;
  v_room bigint;
begin
  select r.kind, r.price_id, r.starts_at, r.ends_at, r.payment_id into strict v_renewal
    from billing.renewal r
   where r.subscription_id = give_difference.id and r.invoice = give_difference.invoice;
  if v_now.pool > give_difference.pool then
    perform ledger.grant(owner_id => give_difference.workspace_id, unit => 'credit', pool => 'subscription',
      amount => v_now.pool - give_difference.pool, expires_at => null, reason => null,
      idempotency_key => 'tg:invoice:' || give_difference.invoice, caused_by => give_difference.caused_by,
      payment_id => v_renewal.payment_id);
  end if;
  if v_renewal.kind = 'upgrade' and billing.period_after(v_renewal.price_id, v_renewal.starts_at) = v_renewal.ends_at then
    -- A change of interval: the period is as long as its price's from here on.
    update billing.subscription s set renewed_until = greatest(s.renewed_until, v_renewal.ends_at)
     where s.id = give_difference.id and s.renewed_from <= v_renewal.starts_at;
  end if;
  if v_now.rollover > give_difference.rollover then
    select min(r.starts_at + p.rollover_expires_in) filter (where r.starts_at = f.first_at) as expires_at, max(p.rollover_cap) as cap
      into v_next
      from billing.renewal r
      join billing.plan p on p.id = r.plan_id
     cross join lateral (
       select min(x.starts_at) as first_at from billing.renewal x
        where x.subscription_id = give_difference.id and x.kind = 'period' and x.state in ('given', 'late')
          and x.starts_at > v_renewal.starts_at) f
     where r.subscription_id = give_difference.id and r.kind = 'period' and r.state in ('given', 'late')
       and r.starts_at > v_renewal.starts_at;
    select v_next.cap - coalesce(sum(x.available) filter (where x.pool = 'rollover'), 0) into v_room
      from ledger.balance_of(give_difference.workspace_id, 'credit') b
     cross join lateral unnest(b.pools, b.pool_available) x(pool, available);
    v_room := least(v_room, v_now.rollover - give_difference.rollover);
    if v_room > 0 and v_next.expires_at > ops.now() is not false then
      perform ledger.grant(owner_id => give_difference.workspace_id, unit => 'credit', pool => 'rollover', amount => v_room,
        expires_at => v_next.expires_at, reason => null, idempotency_key => 'tg:late:' || give_difference.invoice,
        caused_by => give_difference.caused_by, payment_id => v_renewal.payment_id);
    end if;
  end if;
end
$$;
