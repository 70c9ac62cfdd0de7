-- billing.paid_until: until when a subscription lets its customer in, as far as is known now; null: it does not. Right without any sweep.
-- Of ours: to its period's end; owing, to the end of its grace; where its renewal is due and was not tried yet, for as long as it may
-- still be, if the balance has the price, and for its grace, if it has not: as the renewal will leave it. Of a provider's: a day longer
-- than its period (its word may be late), and owing, the plan's grace. Callers: worker
create or replace function billing.paid_until(subscription_id uuid)
  returns timestamptz
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_row record;
  v_until timestamptz;
  v_now timestamptz := ops.now();
begin
  select s.workspace_id, s.collection, s.state, s.current_period_end, s.past_due_since, s.renew_at, s.expire_at, s.created_at,
         p.grace_days, r.currency, r.amount_minor::numeric * coalesce(s.next_quantity, s.quantity) as amount
    into v_row
    from billing.subscription s
    join billing.plan p on p.id = s.plan_id
    join billing.price r on r.id = coalesce(s.next_price_id, s.price_id)
   where s.id = paid_until.subscription_id and s.ended_at is null and s.superseded_by is null;
  if not found then
    return null;
  elsif v_row.collection = 'balance' then
    v_until := case when v_row.state = 'past_due' then v_row.expire_at else v_row.current_period_end end;
    if v_until <= v_now and v_row.state in ('active', 'trialing') and v_row.renew_at is not null and v_row.expire_at > v_now then
      v_until := case
        when (select b.available >= v_row.amount from ledger.balance_of(v_row.workspace_id, v_row.currency) b) then v_row.expire_at
        when v_row.state = 'active' then v_until + make_interval(days => v_row.grace_days)
        end;
    end if;
  elsif v_row.state in ('active', 'trialing') then
    v_until := coalesce(v_row.current_period_end, v_row.created_at) + interval '1 day';
  elsif v_row.state = 'past_due' then
    v_until := v_row.past_due_since + make_interval(days => v_row.grace_days);
  end if;
  return case when v_until > v_now then v_until end;
end
$$;
