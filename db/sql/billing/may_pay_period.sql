-- billing.may_pay_period: may the workspace pay for a period of this price now, by itself or from its balance? Null: yes. Else the state of
-- the subscription that stands in the way: a provider's; or one of ours that is paid for now and is of something else, or has
-- credits, which two periods at once cannot hold.
-- Locks: the caller holds the workspace's row. Callers: payments' routines, billing.pay_period
create or replace function billing.may_pay_period(workspace_id uuid, price_id uuid, quantity integer)
  returns text
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_row record;
begin
  select s.state, s.collection, s.price_id, s.quantity, s.current_period_end, p.included_credits, p.rollover_cap into v_row
    from billing.subscription s left join billing.plan p on p.id = s.plan_id
   where s.workspace_id = may_pay_period.workspace_id and s.ended_at is null and s.superseded_by is null;
  if not found or v_row.collection = 'balance' and (v_row.state in ('trialing', 'past_due') or v_row.current_period_end <= ops.now()) then
    return null;
  elsif v_row.collection = 'balance' and (v_row.price_id, v_row.quantity) = (may_pay_period.price_id, may_pay_period.quantity)
    and v_row.included_credits = 0 and v_row.current_period_end < ops.now() + interval '10 years' then
    return null;
  end if;
  return v_row.state;
end
$$;
