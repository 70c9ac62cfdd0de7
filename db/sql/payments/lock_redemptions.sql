-- payments.lock_redemptions: the accounts of the codes and campaigns of which these purchases hold a redemption, locked in the order of
-- their ids, so that whoever ends many waits in the same order as whoever begins one.
-- Locks: the accounts. Callers: payments.purchases_expire
create or replace function payments.lock_redemptions(purchase_ids uuid[])
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_owner uuid;
begin
  for v_owner in
    select distinct h.owner_id
      from unnest(lock_redemptions.purchase_ids) p(id) cross join lateral payments.redemption_holds(p.id) h
     order by h.owner_id
  loop
    perform ledger.lock_account(v_owner, 'redemption');
  end loop;
end
$$;
