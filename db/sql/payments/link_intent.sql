-- payments.link_intent: this payment intent paid this payment. What refunds and disputes of it said before is reckoned by the
-- caller. Locks: the caller holds the intent (payments.lock_intent). Callers: payments' routines
create or replace function payments.link_intent(provider text, id text, payment_id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update payments.intent i
     set payment_id = link_intent.payment_id, link_due_at = null, link_attempts = 0
   where i.provider = link_intent.provider and i.id = link_intent.id and i.payment_id is null;
end
$$;
