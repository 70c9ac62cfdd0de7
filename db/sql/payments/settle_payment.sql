-- payments.settle_payment: an operator decides on money that was kept without effect: it goes to the workspace's balance in its own
-- currency (`balance`), or buys what it was paid for all the same (`purchase`). What was refunded of it is taken back at once.
-- Guarantees: once; its alarm closes, and an audit row, in the same statement. Refuses: not_found; payment_settled;
--   refund_at_provider (what the provider collects by subscription is settled there); and what stands in the way of `purchase`:
--   purchase_paid (by another payment: its payment_id), subscription_exists, and as payments.check_promo; balance_limit_exceeded.
-- Locks: the workspace, the purchase, the payment, then as payments.finalize. Callers: worker
create or replace function payments.settle_payment(
  workspace_id uuid,
  inout payment_id uuid,
  inout settle_as text,
  reason text,
  caused_by text,
  out purchase_id uuid,
  out state text,
  out amount_minor bigint,
  out currency text,
  out subscription_id uuid,
  out available bigint
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase record;
  v_payment record;
  v_standing text;
begin
  perform people.lock_workspace(settle_payment.workspace_id);
  select p.purchase_id into settle_payment.purchase_id
    from payments.payment p
   where p.id = settle_payment.payment_id and p.workspace_id = settle_payment.workspace_id;
  if not found then
    perform ops.refuse('not_found');
  end if;
  select p.provider, p.kind, p.state, p.price_id, p.quantity, p.payment_id, p.parked_until, p.promo_code_id,
         p.kind = 'subscription' and coalesce(p.collection, 'stripe') = 'stripe' as is_collected
    into v_purchase
    from payments.purchase p
   where p.id = settle_payment.purchase_id
     for no key update;
  select p.amount_minor::bigint as amount_minor, p.currency, p.unsettled_at into strict v_payment
    from payments.payment p
   where p.id = settle_payment.payment_id
     for no key update;
  if v_payment.unsettled_at is null then
    perform ops.refuse('payment_settled');
  elsif v_purchase.is_collected then
    perform ops.refuse('refund_at_provider', jsonb_build_object('provider', v_purchase.provider));
  end if;
  settle_payment.amount_minor := v_payment.amount_minor;
  settle_payment.currency := v_payment.currency;

  if settle_payment.settle_as = 'purchase' then
    if v_purchase.payment_id <> settle_payment.payment_id then
      perform ops.refuse('purchase_paid', jsonb_build_object('payment_id', v_purchase.payment_id));
    elsif v_purchase.kind = 'subscription' then
      v_standing := billing.may_pay_period(settle_payment.workspace_id, v_purchase.price_id, v_purchase.quantity);
      if v_standing is not null then
        perform ops.refuse('subscription_exists', jsonb_build_object('state', v_standing));
      end if;
    end if;
    -- What was released, or has run out, is held anew, or refused by name.
    if not payments.redeem(settle_payment.purchase_id, settle_payment.caused_by) then
      perform payments.hold_redemption(settle_payment.purchase_id, settle_payment.caused_by);
    end if;
    update payments.purchase p
       set state = 'paid', payment_id = settle_payment.payment_id, ended_at = ops.now(), parked_until = null
     where p.id = settle_payment.purchase_id and p.payment_id is null;
    if v_purchase.parked_until is not null then
      perform ops.unpark('purchases_expire', settle_payment.purchase_id::text);
    end if;
    perform payments.mark_settled(settle_payment.payment_id);
    perform payments.deliver(settle_payment.purchase_id, settle_payment.payment_id, settle_payment.caused_by);
    perform payments.complete(settle_payment.purchase_id, settle_payment.payment_id, settle_payment.caused_by);
  elsif settle_payment.settle_as = 'balance' then
    perform payments.mark_settled(settle_payment.payment_id);
    perform payments.give_to_balance(settle_payment.payment_id, settle_payment.reason, settle_payment.caused_by);
  else
    raise exception using errcode = 'TG011', message = format('a payment is not settled as %L', settle_payment.settle_as);
  end if;
  perform ops.record_change(
    workspace_id => settle_payment.workspace_id, actor => settle_payment.caused_by, action => 'payment.settle',
    subject => 'payment:' || settle_payment.payment_id,
    detail => jsonb_build_object('settle_as', settle_payment.settle_as, 'reason', settle_payment.reason,
      'amount_minor', settle_payment.amount_minor, 'currency', settle_payment.currency,
      'purchase_id', settle_payment.purchase_id));
  select p.state, p.subscription_id into strict settle_payment.state, settle_payment.subscription_id
    from payments.purchase p
   where p.id = settle_payment.purchase_id;
  select b.available into settle_payment.available
    from ledger.balance_of(settle_payment.workspace_id, settle_payment.currency) b;
end
$$;
