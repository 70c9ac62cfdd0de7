-- payments.complete: what follows once a purchase was paid and delivered: what of the payment was refunded before we knew of it is
-- taken back; the referrer has its part; the customer is told what was paid, which a trial or a tax makes another amount than the price: of
-- nothing (a trial's payment) nothing is told.
-- Locks: the caller holds the workspace and the purchase; then the payment, the workspace's accounts, the referrer's, the outbox.
-- Callers: payments.finalize, payments.settle_payment
create or replace function payments.complete(purchase_id uuid, payment_id uuid, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform payments.reckon(complete.payment_id, complete.caused_by);
  perform payments.reward_referrer(complete.payment_id, complete.caused_by);
  perform messages.enqueue('notice', 'purchase_paid', p.workspace_id, 'purchase_paid:' || p.id,
      jsonb_build_object('purchase_id', p.id, 'kind', p.kind, 'provider', p.provider, 'quantity', p.quantity,
        'amount_minor', y.amount_minor, 'currency', y.currency))
    from payments.purchase p
    join payments.payment y on y.id = complete.payment_id
   where p.id = complete.purchase_id and y.amount_minor > 0;
end
$$;
