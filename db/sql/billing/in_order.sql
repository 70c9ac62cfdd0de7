-- billing.in_order: what a subscription's counted invoices give when they come in order and nothing is spent: to its newest period,
-- and what has rolled over. What a late one gives is what it changes in this. Callers: billing.give_waiting
create or replace function billing.in_order(id uuid, out pool bigint, out rollover bigint)
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_period record;
begin
  in_order.pool := 0;
  in_order.rollover := 0;
  for v_period in
    select r.amount, r.starts_at, p.rollover_cap, lead(r.starts_at) over (order by r.starts_at, r.invoice) as next_at
      from billing.renewal r join billing.plan p on p.id = r.plan_id
     where r.subscription_id = in_order.id and r.kind = 'period' and r.state in ('given', 'late')
     order by r.starts_at, r.invoice
  loop
    if v_period.rollover_cap is not null then
      in_order.rollover := greatest(in_order.rollover, least(in_order.rollover + in_order.pool, v_period.rollover_cap));
    end if;
    in_order.pool := v_period.amount
      + billing.upgraded(in_order.id, v_period.starts_at, v_period.next_at, v_period.amount);
  end loop;
end
$$;
