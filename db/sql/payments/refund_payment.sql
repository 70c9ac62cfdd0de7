-- payments.refund_payment: an operator refunds, all or in part, what was paid by hand, in crypto or from a balance. What it gave is
-- taken back in proportion (payments.reckon); what was paid from a balance goes back to it. Coins are sent by the operator: this only
-- writes it down, and has the watcher look once more at what was paid in crypto: an alarm of coins that are gone closes by it.
-- Money of Stripe's is refunded at Stripe.
-- Guarantees: never more than was paid, whoever refunds at once; an audit row in the same statement.
-- Locks: the intent, the workspace, then what follows. Refuses: not_found; refund_at_provider; amount_exceeds_payment (with what is
--   left). Callers: worker
create or replace function payments.refund_payment(
  workspace_id uuid,
  inout payment_id uuid,
  inout amount_minor bigint,
  reason text,
  caused_by text,
  out id text,
  out currency text,
  out refunded bigint,
  out available bigint
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment record;
  v_left bigint;
begin
  select p.provider, p.currency, p.purchase_id into v_payment
    from payments.payment p
   where p.id = refund_payment.payment_id and p.workspace_id = refund_payment.workspace_id;
  if not found then
    perform ops.refuse('not_found');
  elsif v_payment.provider not in ('manual', 'balance', 'btcpay') then
    perform ops.refuse('refund_at_provider', jsonb_build_object('provider', v_payment.provider));
  end if;
  -- It has no name at a provider but its own.
  perform payments.lock_intent(v_payment.provider, refund_payment.payment_id::text, null);
  perform people.lock_workspace(refund_payment.workspace_id);
  perform payments.link_intent(v_payment.provider, refund_payment.payment_id::text, refund_payment.payment_id);
  if v_payment.provider = 'btcpay' then
    update payments.purchase p set check_due_at = ops.now() where p.id = v_payment.purchase_id;
  end if;
  select p.amount_minor - p.refunded into strict v_left
    from payments.payment p
   where p.id = refund_payment.payment_id
     for no key update;
  refund_payment.amount_minor := coalesce(refund_payment.amount_minor, v_left);
  if refund_payment.amount_minor > v_left or v_left = 0 then
    perform ops.refuse('amount_exceeds_payment', jsonb_build_object('left_minor', v_left));
  end if;
  refund_payment.id := uuidv7();
  refund_payment.currency := v_payment.currency;
  perform payments.store_refund(v_payment.provider, refund_payment.payment_id::text, jsonb_build_object(
    'refund', refund_payment.id, 'amount', refund_payment.amount_minor, 'status', 'succeeded'));
  perform payments.reckon(refund_payment.payment_id, refund_payment.caused_by);
  if v_payment.provider = 'balance' then
    perform ledger.grant(owner_id => refund_payment.workspace_id, unit => v_payment.currency, pool => 'balance',
      amount => refund_payment.amount_minor, expires_at => null, reason => refund_payment.reason,
      idempotency_key => 'tg:refund:' || refund_payment.id, caused_by => refund_payment.caused_by, side => 'refund');
    perform billing.wake_renewal(refund_payment.workspace_id);
  end if;
  perform ops.record_change(
    workspace_id => refund_payment.workspace_id, actor => refund_payment.caused_by, action => 'payment.refund',
    subject => 'payment:' || refund_payment.payment_id,
    detail => jsonb_build_object('amount_minor', refund_payment.amount_minor, 'reason', refund_payment.reason));
  select p.refunded into strict refund_payment.refunded from payments.payment p where p.id = refund_payment.payment_id;
  select b.available into refund_payment.available
    from ledger.balance_of(refund_payment.workspace_id, v_payment.currency) b;
end
$$;
