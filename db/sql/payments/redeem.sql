-- payments.redeem: a purchase was paid: its use of its promo code counts for ever. Where it was released (the money came after the
-- purchase's end), or its holds have run out, it is held anew first. Answers whether the purchase has what its quote took for
-- granted: true also where it has no code, or where that was redeemed already; false where a new hold is refused.
-- Locks: the caller holds the workspace and the purchase; then the redemption, the code, the accounts of code and campaign in the
--   order of their ids. Callers: payments.finalize, payments.settle_payment
create or replace function payments.redeem(purchase_id uuid, caused_by text)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_state text;
  v_hold record;
begin
  select r.state into v_state
    from payments.redemption r
   where r.purchase_id = redeem.purchase_id
     for no key update;
  if not found or v_state = 'redeemed' then
    return true;
  end if;
  if v_state = 'held' then
    begin
      for v_hold in select h.owner_id, h.hold_id, h.key from payments.redemption_holds(redeem.purchase_id) h loop
        perform ledger.settle(v_hold.owner_id, 'redemption', v_hold.hold_id, null, v_hold.key || ':redeemed', redeem.caused_by);
      end loop;
    exception when sqlstate 'TG001' then
      if sqlerrm not in ('hold_ended', 'not_found') then
        raise;
      end if;
      perform payments.release_redemption(redeem.purchase_id, redeem.caused_by);
      v_state := 'released';
    end;
  end if;
  if v_state = 'released' then
    begin
      perform payments.hold_redemption(redeem.purchase_id, redeem.caused_by);
    exception when sqlstate 'TG001' then
      return false;
    end;
    for v_hold in select h.owner_id, h.hold_id, h.key from payments.redemption_holds(redeem.purchase_id) h loop
      perform ledger.settle(v_hold.owner_id, 'redemption', v_hold.hold_id, null, v_hold.key || ':redeemed', redeem.caused_by);
    end loop;
  end if;
  update payments.redemption r set state = 'redeemed', ended_at = ops.now() where r.purchase_id = redeem.purchase_id;
  return true;
end
$$;
