-- payments.apply_refund: a refund was made, moved or failed. Kept until its payment is known.
-- Locks: the intent, the workspace of its payment, then what follows. Callers: ops.apply_event
create or replace function payments.apply_refund(provider text, fact jsonb, caused_by text)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_intent text := coalesce(apply_refund.fact ->> 'payment_intent', apply_refund.fact ->> 'charge');
  v_payment uuid := payments.lock_intent(apply_refund.provider, v_intent, null);
begin
  perform payments.lock_payment(v_payment);
  perform payments.store_refund(apply_refund.provider, v_intent, apply_refund.fact);
  if v_payment is null then
    return 'kept';
  end if;
  perform payments.reckon(v_payment, apply_refund.caused_by);
  return 'reckoned';
end
$$;
