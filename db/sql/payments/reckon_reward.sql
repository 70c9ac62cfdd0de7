-- payments.reckon_reward: what a referrer got for a payment is brought to what of the payment is not refunded or disputed, by the
-- payment's totals as last reckoned; where there was no reward, nothing. What the referrer has spent of it becomes the
-- referrer's debt, or is forgiven (`clamp`); it is never frozen for what somebody else's money did.
-- Locks: the caller holds the paying workspace and its payment; then the referrer's account.
-- Callers: payments.reckon, payments.reward_referrer
create or replace function payments.reckon_reward(payment_id uuid, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_reward record;
begin
  select w.referrer_id, p.refunded::bigint as refunded, p.disputed::bigint as disputed, p.amount_minor::bigint as amount_minor,
         p.reckoned
    into v_reward
    from payments.reward w
    join payments.payment p on p.id = w.payment_id
   where w.payment_id = reckon_reward.payment_id;
  if found then
    perform ledger.take_back(
      owner_id => v_reward.referrer_id, payment_id => reckon_reward.payment_id, refunded => v_reward.refunded,
      lost => v_reward.disputed, paid => v_reward.amount_minor,
      idempotency_key => 'tg:reckon_reward:' || reckon_reward.payment_id || ':' || v_reward.reckoned,
      caused_by => reckon_reward.caused_by, forgive => billing.shortfall() = 'clamp');
  end if;
end
$$;
