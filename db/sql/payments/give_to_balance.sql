-- payments.give_to_balance: money that came is added to its workspace's balance, in its own currency. What was refunded of it is taken
-- back at once; the referrer has its part; a renewal that waited for money is tried.
-- Guarantees: once, by the payment's id. Refuses: balance_limit_exceeded.
-- Locks: the caller holds the workspace and the payment; then the workspace's accounts, the referrer's.
-- Callers: payments.settle_payment, payments.keep_surplus
create or replace function payments.give_to_balance(payment_id uuid, reason text, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment record;
begin
  select p.workspace_id, p.amount_minor::bigint as amount_minor, p.currency into strict v_payment
    from payments.payment p
   where p.id = give_to_balance.payment_id;
  if v_payment.amount_minor = 0 then
    return;
  end if;
  perform ledger.grant(
    owner_id => v_payment.workspace_id, unit => v_payment.currency, pool => 'balance', amount => v_payment.amount_minor,
    expires_at => null, reason => give_to_balance.reason, idempotency_key => 'tg:settle:' || give_to_balance.payment_id,
    caused_by => give_to_balance.caused_by, payment_id => give_to_balance.payment_id, side => 'payments');
  perform payments.reckon(give_to_balance.payment_id, give_to_balance.caused_by);
  perform payments.reward_referrer(give_to_balance.payment_id, give_to_balance.caused_by);
  perform billing.wake_renewal(v_payment.workspace_id);
end
$$;
