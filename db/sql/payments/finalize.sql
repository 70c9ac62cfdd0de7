-- payments.finalize: money came for a purchase: its state, the payment, its promo code's redemption, what it buys, the referrer's
-- reward and the notice, in one (D1, D2), once, whoever says so and how often (D3), for every provider.
-- What is paid once is paid to the cent, in its currency. What the provider collects by subscription may be less by a trial or more
-- by a tax. Money that came after the purchase's end is money: it buys what it was paid for, if that can still be had.
-- Money that does not fit is kept without effect, under an alarm, until the operator settles it (payments.settle_payment): Stripe's
-- session is over by it, while a purchase by hand or in crypto stays open for the right money.
-- `worth` none, of crypto: what came buys nothing, however much it is.
-- Locks: the caller holds the intent and the workspace; then the purchase, the payment, the redemption, the accounts of code and
--   campaign, the subscription, the workspace's accounts, the referrer's. Refuses: reference_used (with the purchase).
-- Callers: payments.apply_checkout, payments.apply_btcpay_invoice, payments.buy_from_balance, payments.record_topup, payments.confirm_purchase
create or replace function payments.finalize(id uuid, fact jsonb, caused_by text)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase record;
  v_payment uuid;
  v_subscription uuid;
  v_paid_at timestamptz := coalesce(billing.second_of(finalize.fact, 'created'), ops.now());
  v_amount bigint := coalesce((finalize.fact ->> 'amount_total')::bigint, 0);
  v_fits boolean;
  -- Another reference is other money, which may come before or after the right one.
  v_follows boolean;
begin
  select p.workspace_id, p.provider, p.provider_id, p.kind, p.state, p.price_id, p.quantity, p.currency,
         p.amount_minor::bigint as amount_minor, p.trial_days, p.identity_hash, p.payment_id, p.parked_until,
         p.kind = 'subscription' as is_plan,
         p.kind = 'subscription' and coalesce(p.collection, 'stripe') = 'stripe' as is_collected
    into strict v_purchase
    from payments.purchase p
   where p.id = finalize.id
     for no key update;
  v_follows := v_purchase.provider in ('manual', 'btcpay');
  if v_purchase.payment_id is not null and not v_follows then
    return 'known';
  end if;
  v_payment := payments.record_payment(v_purchase.workspace_id, v_purchase.provider,
    case when v_follows then coalesce(finalize.fact ->> 'reference', v_purchase.provider_id)
      when v_purchase.is_collected then coalesce(finalize.fact ->> 'invoice', v_purchase.provider_id)
      else v_purchase.provider_id end,
    v_amount, coalesce(finalize.fact ->> 'currency', v_purchase.currency), v_paid_at, false);
  update payments.payment p set purchase_id = finalize.id
   where p.id = v_payment and coalesce(p.purchase_id, finalize.id) = finalize.id;
  if not found then
    perform ops.refuse('reference_used', (
      select jsonb_build_object('purchase_id', p.purchase_id) from payments.payment p where p.id = v_payment));
  end if;
  if finalize.fact ->> 'payment_intent' is not null then
    perform payments.link_intent(v_purchase.provider, finalize.fact ->> 'payment_intent', v_payment);
  end if;

  v_fits := v_purchase.payment_id is null
    and coalesce(finalize.fact ->> 'currency', v_purchase.currency) = v_purchase.currency
    and (v_purchase.is_collected or v_amount = v_purchase.amount_minor) and finalize.fact ->> 'worth' is distinct from 'none';
  if v_fits and v_purchase.is_plan and not v_purchase.is_collected then
    v_fits := billing.may_pay_period(v_purchase.workspace_id, v_purchase.price_id, v_purchase.quantity) is null;
  end if;
  if v_fits then
    v_fits := payments.redeem(finalize.id, finalize.caused_by);
  end if;
  if v_fits or not v_follows then
    update payments.purchase p
       set state = 'paid', payment_id = v_payment, ended_at = ops.now(), url = null, check_due_at = null, awaits_payment = null,
           lease_token = null, parked_until = null
     where p.id = finalize.id;
    if v_purchase.parked_until is not null then
      perform ops.unpark('purchases_expire', finalize.id::text);
    end if;
  end if;

  if not v_fits then
    if not v_follows then
      perform payments.release_redemption(finalize.id, finalize.caused_by);
    end if;
    update payments.payment p set unsettled_at = ops.now() where p.id = v_payment;
    perform ops.raise_alarm('payment_does_not_fit', 'purchase:' || finalize.id,
      jsonb_build_object('currency', finalize.fact ->> 'currency', 'amount_minor', finalize.fact -> 'amount_total',
        'expected_currency', v_purchase.currency, 'expected_minor', v_purchase.amount_minor, 'state', v_purchase.state,
        'payment_id', v_payment));
    -- It may have been refunded before we knew of it.
    perform payments.reckon(v_payment, finalize.caused_by);
    return 'does_not_fit';
  end if;
  if v_follows then
    -- It may have been kept before the rest of it came.
    perform payments.mark_settled(v_payment);
  end if;
  if v_purchase.is_collected then
    if finalize.fact ->> 'subscription' is null then
      raise exception using errcode = 'TG011', message = 'a plan''s checkout names no subscription';
    end if;
    if v_purchase.trial_days > 0 and v_purchase.identity_hash is not null then
      -- Paid after its end: the trial had been let go.
      perform billing.claim_trial(v_purchase.workspace_id, v_purchase.identity_hash, finalize.id);
    end if;
    v_subscription := billing.note_checkout(
      workspace_id => v_purchase.workspace_id, provider_id => finalize.fact ->> 'subscription',
      price_id => v_purchase.price_id, quantity => v_purchase.quantity, trial_days => v_purchase.trial_days,
      invoice => finalize.fact ->> 'invoice', paid_at => v_paid_at, payment_id => v_payment, caused_by => finalize.caused_by);
    update payments.purchase p set subscription_id = v_subscription where p.id = finalize.id;
    update payments.payment p set subscription_id = v_subscription where p.id = v_payment;
  else
    perform payments.deliver(finalize.id, v_payment, finalize.caused_by);
  end if;
  perform payments.complete(finalize.id, v_payment, finalize.caused_by);
  return 'paid';
end
$$;
