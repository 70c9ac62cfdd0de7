-- payments.reckon: what a payment gave is brought to what of it is not refunded or disputed: a function of the rows of its
-- refunds and disputes alone, so that any order and any repetition of their events end the same.
-- `refunded`: the refunds that are alive, or the most that the charge itself told less those that failed, whichever is more (the
--   charge's event may come first, or alone). `disputed`: disputes that are open (what was paid for is frozen) or lost.
-- The operator's policy decides on what has been spent: debt, forgiven (clamp), or debt and a frozen workspace. What the
-- workspace's referrer got for it follows (payments.reckon_reward).
-- Locks: the caller holds intent and workspace; then the payment, the account, the purchase, the referrer's account.
-- Callers: payments' routines, billing.give_waiting
create or replace function payments.reckon(id uuid, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment record;
  v_refunded numeric;
  v_disputed numeric;
  v_policy text := billing.shortfall();
  v_moved record;
begin
  select p.workspace_id, p.purchase_id, p.amount_minor::bigint as amount_minor, p.refunded, p.disputed, p.reckoned
    into strict v_payment
    from payments.payment p
   where p.id = reckon.id
     for no key update;
  select coalesce(sum(greatest(coalesce(r.alive, 0), i.refunded_seen - coalesce(r.failed, 0))), 0),
         coalesce(sum(d.against), 0)
    into v_refunded, v_disputed
    from payments.intent i
    left join lateral (
      select sum(f.amount_minor) filter (where f.state not in ('failed', 'canceled')) as alive,
             sum(f.amount_minor) filter (where f.state in ('failed', 'canceled')) as failed
        from payments.refund f where f.provider = i.provider and f.intent_id = i.id) r on true
    left join lateral (
      select sum(x.amount_minor) as against
        from payments.dispute x
       where x.provider = i.provider and x.intent_id = i.id and x.state in ('open', 'lost')) d on true
   where i.payment_id = reckon.id;
  v_refunded := least(v_refunded, v_payment.amount_minor);
  v_disputed := least(v_disputed, v_payment.amount_minor);
  if v_refunded = 0 and v_disputed = 0 and v_payment.refunded = 0 and v_payment.disputed = 0 then
    return;
  end if;

  update payments.payment p
     set refunded = v_refunded, disputed = v_disputed, reckoned = p.reckoned + 1
   where p.id = reckon.id
  returning p.reckoned into v_payment.reckoned;
  v_moved := ledger.take_back(
    owner_id => v_payment.workspace_id, payment_id => reckon.id, refunded => v_refunded::bigint, lost => v_disputed::bigint,
    paid => v_payment.amount_minor, idempotency_key => 'tg:reckon:' || reckon.id || ':' || v_payment.reckoned,
    caused_by => reckon.caused_by, forgive => v_policy = 'clamp');
  -- A dispute was won, a refund failed: the balance has grown.
  if v_moved.taken < 0 then
    perform billing.wake_renewal(v_payment.workspace_id);
  end if;
  if v_moved.shortfall > 0 and v_policy = 'freeze' then
    perform people.freeze_workspace(v_payment.workspace_id, 'refund', reckon.caused_by);
    perform ops.raise_alarm('workspace_frozen', 'workspace:' || v_payment.workspace_id,
      jsonb_build_object('payment_id', reckon.id, 'shortfall', v_moved.shortfall));
  end if;
  update payments.purchase p
     set state = case when v_refunded >= v_payment.amount_minor and v_refunded > 0 then 'refunded'
           when v_refunded > 0 then 'partly_refunded' else 'paid' end
   where p.id = v_payment.purchase_id and p.payment_id = reckon.id and p.state in ('paid', 'partly_refunded', 'refunded')
     and p.state <> case when v_refunded >= v_payment.amount_minor and v_refunded > 0 then 'refunded'
           when v_refunded > 0 then 'partly_refunded' else 'paid' end;
  -- Of money that was kept without effect and has gone back, nothing is left to decide.
  if v_refunded >= v_payment.amount_minor and v_refunded > 0 then
    perform payments.mark_settled(reckon.id);
  end if;
  perform payments.reckon_reward(reckon.id, reckon.caused_by);
end
$$;
