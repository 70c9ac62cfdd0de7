-- payments.lock_intent: the row of a provider's payment intent, made if it is not there, and locked: a refund that comes before
-- its payment is known and the payment itself meet here. Answers the payment, if it is known.
-- Locks: the intent, before the workspace. Callers: payments' routines
create or replace function payments.lock_intent(provider text, id text, customer text)
  returns uuid
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment uuid;
begin
  insert into payments.intent (provider, id, customer, link_due_at, created_at)
  values (lock_intent.provider, lock_intent.id, lock_intent.customer, ops.now() + interval '1 minute', ops.now())
  on conflict on constraint intent_pk do nothing;
  select i.payment_id into strict v_payment
    from payments.intent i
   where i.provider = lock_intent.provider and i.id = lock_intent.id
     for no key update;
  return v_payment;
end
$$;
