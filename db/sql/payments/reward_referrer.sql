-- payments.reward_referrer: a payment's referrer gets the policy's part of it, rounded down, to its balance: of the first that is
-- rewarded, or (`recurring`) of each. Only of money that came from outside, and not while it is unsettled. What was refunded of
-- the payment before is taken back at once, so that it does not matter which is told first.
-- Guarantees: in the statement that keeps the payment (D1), and once for each payment, whoever asks and how often (D3). What the
--   referrer's balance cannot hold is not given, under an alarm: a payment does not wait for somebody else's account.
-- Locks: the caller holds the paying workspace, which makes "the first" exact; then, after all of its own accounts, the
--   referrer's workspace (only if nobody has it), its subscription, its account.
-- Callers: payments.complete, payments.apply_invoice, payments.settle_payment
create or replace function payments.reward_referrer(payment_id uuid, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_reward record;
  v_account record;
begin
  select p.workspace_id, r.referrer_id, p.currency,
         floor(p.amount_minor::numeric * c.percent / 100)::bigint as amount_minor, c.recurring
    into v_reward
    from payments.payment p
    join payments.referral r on r.workspace_id = p.workspace_id
   cross join payments.referral_policy c
   where p.id = reward_referrer.payment_id and p.provider <> 'balance' and p.unsettled_at is null;
  if not found or v_reward.amount_minor = 0 or not v_reward.recurring and exists (
    select from payments.reward w where w.workspace_id = v_reward.workspace_id
  ) then
    return;
  end if;
  -- What it could not pay from its balance is tried again. Without waiting: where somebody is at work there, its schedule will do.
  if v_reward.referrer_id = any (people.claim_workspaces(array[v_reward.referrer_id])) then
    perform billing.wake_renewal(v_reward.referrer_id);
  end if;
  v_account := ledger.lock_account(v_reward.referrer_id, v_reward.currency);
  if v_account.available + v_account.held + v_reward.amount_minor > 9007199254740991 then
    perform ops.raise_alarm('reward_does_not_fit', 'payment:' || reward_referrer.payment_id,
      jsonb_build_object('referrer_id', v_reward.referrer_id, 'amount_minor', v_reward.amount_minor,
        'currency', v_reward.currency));
    return;
  end if;
  insert into payments.reward (payment_id, workspace_id, referrer_id, amount_minor, currency, created_at)
  values (reward_referrer.payment_id, v_reward.workspace_id, v_reward.referrer_id, v_reward.amount_minor, v_reward.currency,
          ops.now())
  on conflict on constraint reward_pk do nothing;
  if found then
    perform ledger.grant(
      owner_id => v_reward.referrer_id, unit => v_reward.currency, pool => 'balance', amount => v_reward.amount_minor,
      expires_at => null, reason => null, idempotency_key => 'tg:referral:' || reward_referrer.payment_id,
      caused_by => reward_referrer.caused_by, payment_id => reward_referrer.payment_id, side => 'referral');
    perform payments.reckon_reward(reward_referrer.payment_id, reward_referrer.caused_by);
  end if;
end
$$;
