-- payments.apply_checkout: what the provider says of a checkout's session: paid, over unpaid, or its payment on its way. The
-- session's status decides and not which event told it, so that they may come in any order.
-- The purchase is found by the session; or, when we died before we had written that down, by its own id that the session
-- carries, if the session's customer is the workspace's.
-- One that is over unpaid gives its promo code's redemption back.
-- Locks: the payment intent, the workspace, the purchase, then what follows. Refuses: SQLSTATE TG011 for a session that claims
--   another workspace's purchase. Callers: ops.apply_event, payments.sync_checkout
create or replace function payments.apply_checkout(provider text, fact jsonb, caused_by text)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_intent text := apply_checkout.fact ->> 'payment_intent';
  v_purchase record;
begin
  if v_intent is not null then
    perform payments.lock_intent(apply_checkout.provider, v_intent, apply_checkout.fact ->> 'customer');
  end if;
  select p.id, p.workspace_id, p.provider_id into v_purchase
    from payments.purchase p
   where p.provider = apply_checkout.provider and p.provider_id = apply_checkout.fact ->> 'session';
  if not found then
    select p.id, p.workspace_id, p.provider_id into v_purchase
      from payments.purchase p
     where p.provider = apply_checkout.provider and p.id = (apply_checkout.fact ->> 'purchase')::uuid;
    if not found then
      return 'not_ours';
    -- The same one may have been written down between the two looks.
    elsif v_purchase.provider_id <> apply_checkout.fact ->> 'session'
      or v_purchase.workspace_id is distinct from
         payments.workspace_of(apply_checkout.provider, apply_checkout.fact ->> 'customer') then
      raise exception using errcode = 'TG011',
        message = format('session %s claims purchase %s, whose it is not', apply_checkout.fact ->> 'session', v_purchase.id);
    end if;
  end if;
  perform people.lock_workspace(v_purchase.workspace_id);
  -- Whoever made it died before writing it down: from here on it is as if that had been done.
  update payments.purchase p
     set provider_id = apply_checkout.fact ->> 'session', lease_token = null, leased_until = null,
         url = case when p.state = 'pending' then apply_checkout.fact ->> 'url' end,
         check_due_at = case when p.state = 'pending' then p.expires_at + interval '1 minute' end
   where p.id = v_purchase.id and p.provider_id is null;

  if apply_checkout.fact ->> 'payment_status' in ('paid', 'no_payment_required') and apply_checkout.fact ->> 'status' = 'complete' then
    return payments.finalize(v_purchase.id, apply_checkout.fact, apply_checkout.caused_by);
  elsif apply_checkout.fact ->> 'status' = 'expired' then
    update payments.purchase p
       set state = case when p.canceled_at is null then 'expired' else 'canceled' end, ended_at = ops.now(), url = null,
           check_due_at = null, lease_token = null
     where p.id = v_purchase.id and p.state = 'pending';
    if not found then
      return 'known';
    end if;
    perform payments.release_redemption(v_purchase.id, apply_checkout.caused_by);
    perform billing.drop_trial(v_purchase.id);
    return 'expired';
  elsif apply_checkout.fact ->> 'event' = 'async_payment_failed' then
    update payments.purchase p
       set state = 'canceled', ended_at = ops.now(), url = null, check_due_at = null, awaits_payment = null, lease_token = null
     where p.id = v_purchase.id and p.state = 'pending';
    if not found then
      return 'known';
    end if;
    perform payments.release_redemption(v_purchase.id, apply_checkout.caused_by);
    perform billing.drop_trial(v_purchase.id);
    return 'payment_failed';
  elsif apply_checkout.fact ->> 'status' = 'complete' then
    update payments.purchase p
       set awaits_payment = 'async', url = null, check_due_at = ops.now() + interval '6 hours'
     where p.id = v_purchase.id and p.state = 'pending';
    return case when found then 'awaits_payment' else 'known' end;
  end if;
  return 'open';
end
$$;
