-- ledger.expire_hold: ends one hold whose time has passed, for the sweep. Everything returns to the lots it came from.
-- Callers: ledger.holds_expire
create or replace function ledger.expire_hold(owner_id uuid, unit text, hold_id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform ledger.end_hold(expire_hold.owner_id, expire_hold.hold_id, expire_hold.unit, 'expired', 0, 'hold_expire',
    'tg:hold_expire:' || expire_hold.hold_id, 'sweep:holds_expire');
end
$$;
