-- payments.check_promo: may this workspace use this promo code now, for a purchase of this kind and currency?
-- Refuses: promo_unknown (disabled); promo_expired (its window or its campaign's has ended, or not begun: starts_at, ends_at of
--   both together); promo_not_for_this (kind or currency is not among its own; a plan that the provider collects has its price
--   there); promo_used (by this workspace, as often as one may); promo_used_up (the cap `of` code or campaign).
-- Guarantees: exact under the locks of payments.hold_redemption; before them, as of now. Callers: payments.quote,
--   payments.hold_redemption
create or replace function payments.check_promo(id uuid, workspace_id uuid, kind text, currency text, collection text)
  returns void
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_promo record;
  v_now timestamptz := ops.now();
begin
  select c.disabled_at, c.kinds, c.currencies, c.per_workspace, c.max_redemptions, c.campaign_id,
         g.max_redemptions as campaign_max,
         greatest(c.starts_at, g.starts_at) as starts_at, least(c.ends_at, g.ends_at) as ends_at
    into v_promo
    from payments.promo_code c
    left join payments.campaign g on g.id = c.campaign_id
   where c.id = check_promo.id;
  if v_promo.disabled_at is not null then
    perform ops.refuse('promo_unknown');
  elsif v_now < v_promo.starts_at or v_now >= v_promo.ends_at then
    perform ops.refuse('promo_expired', jsonb_build_object('starts_at', v_promo.starts_at, 'ends_at', v_promo.ends_at));
  elsif not check_promo.kind = any (v_promo.kinds) or not check_promo.currency = any (v_promo.currencies)
    or check_promo.kind = 'subscription' and check_promo.collection = 'stripe' then
    perform ops.refuse('promo_not_for_this');
  elsif v_promo.per_workspace <= (
    select count(*) from payments.redemption r
     where r.promo_code_id = check_promo.id and r.workspace_id = check_promo.workspace_id and r.state in ('held', 'redeemed')
  ) then
    perform ops.refuse('promo_used');
  elsif v_promo.max_redemptions is not null and (ledger.balance_of(check_promo.id, 'redemption')).available < 1 then
    perform ops.refuse('promo_used_up', jsonb_build_object('of', 'code'));
  elsif v_promo.campaign_max is not null and (ledger.balance_of(v_promo.campaign_id, 'redemption')).available < 1 then
    perform ops.refuse('promo_used_up', jsonb_build_object('of', 'campaign'));
  end if;
end
$$;
