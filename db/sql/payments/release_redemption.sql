-- payments.release_redemption: a purchase is over unpaid: its use of its promo code is another's again. Nothing where none is held.
-- Locks: the caller holds the workspace and the purchase; then the redemption, the accounts of code and campaign in the order of
--   their ids. Callers: payments' routines
create or replace function payments.release_redemption(purchase_id uuid, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_hold record;
begin
  perform from payments.redemption r
    where r.purchase_id = release_redemption.purchase_id and r.state = 'held'
      for no key update;
  if not found then
    return;
  end if;
  for v_hold in select h.owner_id, h.hold_id, h.key from payments.redemption_holds(release_redemption.purchase_id) h loop
    begin
      perform ledger.release(v_hold.owner_id, 'redemption', v_hold.hold_id, v_hold.key || ':released',
        release_redemption.caused_by);
    exception when sqlstate 'TG001' then
      -- The backstop gave it back before.
      if sqlerrm not in ('hold_ended', 'not_found') then
        raise;
      end if;
    end;
  end loop;
  update payments.redemption r set state = 'released', ended_at = ops.now()
   where r.purchase_id = release_redemption.purchase_id;
end
$$;
