-- payments.finalize: a purchase was paid: its state, the payment and what it buys, in one (D1, D2), once, whoever says so and
-- how often (D3): money to the balance (D1), credits to the pool `bulk` (A5), tokens, or the plan's subscription with its first
-- period. A purchase of nothing
-- to pay counts. Money that came for one that we held for over is money: it buys what it was paid for. Money of another
-- currency, or for a balance of another amount, is kept without effect, under an alarm.
-- Locks: the caller holds the intent and the workspace; then the purchase, the subscription, the account.
-- Callers: payments.apply_checkout, payments.buy_from_balance, payments.record_topup
create or replace function payments.finalize(id uuid, fact jsonb, caused_by text)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase record;
  v_payment uuid;
  v_subscription uuid;
  v_paid_at timestamptz := coalesce(billing.second_of(finalize.fact, 'created'), ops.now());
  v_fits boolean;
begin
  select p.workspace_id, p.provider, p.provider_id, p.kind, p.state, p.pack_id, p.price_id, p.quantity, p.currency,
         p.amount_minor::bigint as amount_minor, p.trial_days, p.payment_id
    into strict v_purchase
    from payments.purchase p
   where p.id = finalize.id
     for no key update;
  if v_purchase.payment_id is not null then
    return 'known';
  end if;
  v_fits := (finalize.fact ->> 'currency' is null or finalize.fact ->> 'currency' = v_purchase.currency)
    -- What is paid for a pack or plan may be less by a code or more by a tax; a balance is what was paid, to the cent.
    and (v_purchase.kind <> 'balance_topup' or (finalize.fact ->> 'amount_total')::bigint = v_purchase.amount_minor);
  v_payment := payments.record_payment(v_purchase.workspace_id, v_purchase.provider,
    case v_purchase.kind when 'subscription' then coalesce(finalize.fact ->> 'invoice', v_purchase.provider_id)
      else v_purchase.provider_id end,
    coalesce((finalize.fact ->> 'amount_total')::bigint, 0), coalesce(finalize.fact ->> 'currency', v_purchase.currency),
    v_paid_at, false);
  update payments.purchase p
     set state = 'paid', payment_id = v_payment, ended_at = ops.now(), url = null, check_due_at = null, awaits_payment = null,
         lease_token = null
   where p.id = finalize.id;
  update payments.payment p set purchase_id = finalize.id where p.id = v_payment;
  if finalize.fact ->> 'payment_intent' is not null then
    perform payments.link_intent(v_purchase.provider, finalize.fact ->> 'payment_intent', v_payment);
  end if;

  if not v_fits then
    perform ops.raise_alarm('payment_does_not_fit', 'purchase:' || finalize.id,
      jsonb_build_object('currency', finalize.fact ->> 'currency', 'amount_minor', finalize.fact -> 'amount_total',
        'expected_currency', v_purchase.currency, 'expected_minor', v_purchase.amount_minor));
    -- It may have been refunded before we knew of it.
    perform payments.reckon(v_payment, finalize.caused_by);
    return 'does_not_fit';
  elsif v_purchase.kind = 'subscription' then
    if finalize.fact ->> 'subscription' is null then
      raise exception using errcode = 'TG011', message = 'a plan''s checkout names no subscription';
    end if;
    v_subscription := billing.note_checkout(
      workspace_id => v_purchase.workspace_id, provider_id => finalize.fact ->> 'subscription',
      price_id => v_purchase.price_id, quantity => v_purchase.quantity, trial_days => v_purchase.trial_days,
      invoice => finalize.fact ->> 'invoice', paid_at => v_paid_at, payment_id => v_payment, caused_by => finalize.caused_by);
    update payments.purchase p set subscription_id = v_subscription where p.id = finalize.id;
    update payments.payment p set subscription_id = v_subscription where p.id = v_payment;
  elsif v_purchase.kind = 'balance_topup' then
    perform ledger.grant(
      owner_id => v_purchase.workspace_id, unit => v_purchase.currency, pool => 'balance', amount => v_purchase.amount_minor,
      expires_at => null, reason => null, idempotency_key => 'tg:purchase:' || finalize.id, caused_by => finalize.caused_by,
      payment_id => v_payment, side => 'payments');
  else
    perform ledger.grant(
      owner_id => v_purchase.workspace_id,
      unit => case v_purchase.kind when 'retail_token' then 'retail_token' else 'credit' end, pool => 'bulk',
      amount => billing.pack_quantity(v_purchase.pack_id) * v_purchase.quantity, expires_at => null, reason => null,
      idempotency_key => 'tg:purchase:' || finalize.id, caused_by => finalize.caused_by, payment_id => v_payment);
  end if;
  perform payments.reckon(v_payment, finalize.caused_by);
  return 'paid';
end
$$;
