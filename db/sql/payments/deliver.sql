-- payments.deliver: what a purchase buys is given: money to the balance (with a promo code, all of what was listed; the house pays the
-- discount), credits to the pool `bulk` (A5), tokens, or a paid period of the plan (D2). Whoever calls has made it paid.
-- Guarantees: once, by the purchase's id; what is given names the payment, so that a refund takes it back in proportion.
-- Locks: the caller holds the workspace and the purchase; then the subscription, the account. Refuses: balance_limit_exceeded;
--   subscription_exists. Callers: payments.finalize, payments.settle_payment
create or replace function payments.deliver(purchase_id uuid, payment_id uuid, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase record;
  v_subscription uuid;
begin
  select p.workspace_id, p.kind, p.pack_id, p.price_id, p.quantity, p.currency, p.discount_minor, p.auto_renew,
         coalesce(p.list_minor, p.amount_minor) as list_minor
    into strict v_purchase
    from payments.purchase p
   where p.id = deliver.purchase_id;
  if v_purchase.kind = 'subscription' then
    v_subscription := billing.pay_period(v_purchase.workspace_id, v_purchase.price_id, v_purchase.quantity,
      coalesce(v_purchase.auto_renew, true), deliver.payment_id, deliver.caused_by);
    update payments.purchase p set subscription_id = v_subscription where p.id = deliver.purchase_id;
    update payments.payment p set subscription_id = v_subscription where p.id = deliver.payment_id;
  elsif v_purchase.kind = 'balance_topup' then
    perform ledger.grant(
      owner_id => v_purchase.workspace_id, unit => v_purchase.currency, pool => 'balance', amount => v_purchase.list_minor,
      expires_at => null, reason => null, idempotency_key => 'tg:purchase:' || deliver.purchase_id,
      caused_by => deliver.caused_by, payment_id => deliver.payment_id, side => 'payments', promo => v_purchase.discount_minor);
    perform billing.wake_renewal(v_purchase.workspace_id);
  else
    perform ledger.grant(
      owner_id => v_purchase.workspace_id,
      unit => case v_purchase.kind when 'retail_token' then 'retail_token' else 'credit' end, pool => 'bulk',
      amount => billing.pack_quantity(v_purchase.pack_id) * v_purchase.quantity, expires_at => null, reason => null,
      idempotency_key => 'tg:purchase:' || deliver.purchase_id, caused_by => deliver.caused_by, payment_id => deliver.payment_id);
  end if;
end
$$;
