-- payments.mark_settled: a payment that was kept without effect is dealt with; the alarm of its purchase closes with the last one.
-- Locks: the caller holds the workspace and the payment. Callers: payments.settle_payment, payments.reckon
create or replace function payments.mark_settled(payment_id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase uuid;
begin
  update payments.payment p set unsettled_at = null
   where p.id = mark_settled.payment_id and p.unsettled_at is not null
  returning p.purchase_id into v_purchase;
  if found and not exists (
    select from payments.payment p where p.purchase_id = v_purchase and p.unsettled_at is not null
  ) then
    perform ops.close_alarm('payment_does_not_fit', 'purchase:' || v_purchase);
  end if;
end
$$;
