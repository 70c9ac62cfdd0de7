-- payments.redemption_holds: the ledger's holds of a purchase's redemption, in the order in which their accounts are locked, and
-- the keys under which this attempt's end. Callers: payments.redeem, payments.release_redemption, payments.lock_redemptions
create or replace function payments.redemption_holds(purchase_id uuid)
  returns table (owner_id uuid, hold_id uuid, key text)
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return query
    select x.owner_id, x.hold_id, 'tg:redemption:' || r.purchase_id || ':' || r.attempt || ':' || x.part
      from payments.redemption r
      join payments.promo_code c on c.id = r.promo_code_id
     cross join lateral (values (c.id, r.code_hold_id, 'code'), (c.campaign_id, r.campaign_hold_id, 'campaign'))
       x(owner_id, hold_id, part)
     where r.purchase_id = redemption_holds.purchase_id and r.state = 'held' and x.hold_id is not null
     order by x.owner_id;
end
$$;
