-- payments.lock_payment: the workspace of a payment, locked, so that its refunds, disputes and purchases move one after the
-- other; null payment: nothing to lock. Locks: the workspace. Callers: payments' routines
create or replace function payments.lock_payment(payment_id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform people.lock_workspace(p.workspace_id) from payments.payment p where p.id = lock_payment.payment_id;
end
$$;
