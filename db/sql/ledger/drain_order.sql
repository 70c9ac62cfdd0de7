-- ledger.drain_order: which pools are spent first: subscription credits, which end with their period, then the rest
-- (by soonest expiry, then oldest).
-- Callers: ledger.add_lot
create or replace function ledger.drain_order(pool text)
  returns integer
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return case drain_order.pool when 'subscription' then 0 else 1 end;
end
$$;
