-- payments.hold_redemption: a purchase's use of its promo code is held while it can be paid, so that a cap is neither passed nor
-- leaked. Everything is checked again once the locks are there: a window may have ended while this waited for them.
-- Guarantees: of a cap, never more are held and redeemed than it allows; where there is none, no row is shared by purchases but
--   the code's, and that is only read. One that is held or redeemed stays as it is; one that was released is held anew.
-- The holds end with the purchase; that they expire is a backstop.
-- Locks: the caller holds the workspace and the purchase; then the code (so that disabling it waits), the accounts of code and
--   campaign in the order of their ids. Refuses: as payments.check_promo. Callers: payments' routines
create or replace function payments.hold_redemption(purchase_id uuid, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase record;
  v_redemption record;
  v_promo record;
  v_campaign_max bigint;
  v_owner uuid;
  v_expires_in interval;
  v_key text;
  v_code_hold uuid;
  v_campaign_hold uuid;
begin
  select p.workspace_id, p.kind, p.currency, p.collection, p.promo_code_id, p.expires_at into strict v_purchase
    from payments.purchase p
   where p.id = hold_redemption.purchase_id;
  select r.state, r.attempt into v_redemption
    from payments.redemption r
   where r.purchase_id = hold_redemption.purchase_id
     for no key update;
  if v_purchase.promo_code_id is null or v_redemption.state in ('held', 'redeemed') then
    return;
  end if;
  select c.id, c.campaign_id, c.max_redemptions into strict v_promo
    from payments.promo_code c
   where c.id = v_purchase.promo_code_id
     for share;
  select g.max_redemptions into v_campaign_max from payments.campaign g where g.id = v_promo.campaign_id;
  for v_owner in
    select x.id
      from (values (v_promo.id, v_promo.max_redemptions::bigint), (v_promo.campaign_id, v_campaign_max)) x(id, most)
     where x.most is not null
     order by x.id
  loop
    perform ledger.lock_account(v_owner, 'redemption');
  end loop;
  perform payments.check_promo(v_promo.id, v_purchase.workspace_id, v_purchase.kind, v_purchase.currency, v_purchase.collection);

  v_redemption.attempt := coalesce(v_redemption.attempt, 0) + 1;
  v_key := 'tg:redemption:' || hold_redemption.purchase_id || ':' || v_redemption.attempt || ':';
  v_expires_in := greatest(v_purchase.expires_at - ops.now(), interval '0') + interval '400 days';
  if v_promo.max_redemptions is not null then
    v_code_hold := (ledger.hold(v_promo.id, 'redemption', 1, v_expires_in, null, v_key || 'code', hold_redemption.caused_by)).id;
  end if;
  if v_campaign_max is not null then
    v_campaign_hold := (ledger.hold(v_promo.campaign_id, 'redemption', 1, v_expires_in, null, v_key || 'campaign',
      hold_redemption.caused_by)).id;
  end if;
  if v_redemption.attempt = 1 then
    insert into payments.redemption
      (purchase_id, promo_code_id, workspace_id, state, code_hold_id, campaign_hold_id, created_at)
    values
      (hold_redemption.purchase_id, v_promo.id, v_purchase.workspace_id, 'held', v_code_hold, v_campaign_hold, ops.now());
  else
    update payments.redemption r
       set state = 'held', attempt = v_redemption.attempt, code_hold_id = v_code_hold, campaign_hold_id = v_campaign_hold,
           ended_at = null
     where r.purchase_id = hold_redemption.purchase_id;
  end if;
end
$$;
