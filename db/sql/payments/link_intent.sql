-- payments.link_intent: this payment intent paid this payment. What refunds and disputes of it said before is reckoned by the
-- caller; if any of that is in doubt, it is still fetched. Locks: the caller holds the intent (payments.lock_intent). Callers: payments' routines
create or replace function payments.link_intent(provider text, id text, payment_id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update payments.intent i
     set payment_id = link_intent.payment_id, link_attempts = 0,
         link_due_at = case
           when i.refunded_seen > 0
             or exists (select from payments.dispute d where d.provider = i.provider and d.intent_id = i.id)
             then i.link_due_at end
   where i.provider = link_intent.provider and i.id = link_intent.id and i.payment_id is null;
end
$$;
