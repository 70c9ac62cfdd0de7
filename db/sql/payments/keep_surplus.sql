-- payments.keep_surplus: more came for a purchase than it costs: the rest is a payment of its own, and goes to the workspace's balance.
-- Where the balance cannot hold it, it is kept without effect, under an alarm, until the operator settles it.
-- Locks: the caller holds the workspace and the purchase; then the payment, the workspace's accounts, the referrer's.
-- Callers: payments.apply_btcpay_invoice
create or replace function payments.keep_surplus(
  purchase_id uuid,
  reference text,
  amount_minor bigint,
  currency text,
  paid_at timestamptz,
  caused_by text
)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase record;
  v_payment uuid;
begin
  select p.workspace_id, p.provider, p.currency, p.amount_minor::bigint as amount_minor, p.state into strict v_purchase
    from payments.purchase p
   where p.id = keep_surplus.purchase_id;
  v_payment := payments.record_payment(v_purchase.workspace_id, v_purchase.provider, keep_surplus.reference,
    keep_surplus.amount_minor, keep_surplus.currency, keep_surplus.paid_at, false);
  update payments.payment p set purchase_id = keep_surplus.purchase_id where p.id = v_payment;
  begin
    perform payments.give_to_balance(v_payment, 'more was paid than asked for', keep_surplus.caused_by);
  -- The largest exact integer is a limit of the column too.
  exception when check_violation or sqlstate 'TG001' then
    update payments.payment p set unsettled_at = ops.now() where p.id = v_payment;
    perform ops.raise_alarm('payment_does_not_fit', 'purchase:' || keep_surplus.purchase_id,
      jsonb_build_object('currency', keep_surplus.currency, 'amount_minor', keep_surplus.amount_minor,
        'expected_currency', v_purchase.currency, 'expected_minor', v_purchase.amount_minor, 'state', v_purchase.state,
        'payment_id', v_payment));
  end;
end
$$;
