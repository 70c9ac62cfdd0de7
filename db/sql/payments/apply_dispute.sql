-- payments.apply_dispute: a dispute was opened (what the payment gave is frozen), won (given back) or lost (taken).
-- Locks: the intent, the workspace of its payment, then what follows. Callers: ops.apply_event
create or replace function payments.apply_dispute(provider text, fact jsonb, occurred_at timestamptz, caused_by text)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_intent text := coalesce(apply_dispute.fact ->> 'payment_intent', apply_dispute.fact ->> 'charge');
  v_payment uuid := payments.lock_intent(apply_dispute.provider, v_intent, null);
begin
  perform payments.lock_payment(v_payment);
  perform payments.store_dispute(apply_dispute.provider, v_intent, apply_dispute.fact, apply_dispute.occurred_at);
  if v_payment is null then
    return 'kept';
  end if;
  perform payments.reckon(v_payment, apply_dispute.caused_by);
  return 'reckoned';
end
$$;
