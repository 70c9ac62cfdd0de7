-- payments.apply_charge: a charge tells how much of it was refunded so far. The refunds themselves tell more, and are fetched
-- when they do not agree. Locks: the intent, the workspace of its payment, then what follows. Callers: ops.apply_event
create or replace function payments.apply_charge(provider text, fact jsonb, caused_by text)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_intent text := coalesce(apply_charge.fact ->> 'payment_intent', apply_charge.fact ->> 'charge');
  v_payment uuid := payments.lock_intent(apply_charge.provider, v_intent, apply_charge.fact ->> 'customer');
  v_refunded bigint := (apply_charge.fact ->> 'amount_refunded')::bigint;
begin
  perform payments.lock_payment(v_payment);
  update payments.intent i
     set refunded_seen = greatest(i.refunded_seen, v_refunded),
         link_due_at = case
           when v_refunded <> (select coalesce(sum(f.amount_minor), 0) from payments.refund f
                                where f.provider = i.provider and f.intent_id = i.id
                                  and f.state not in ('failed', 'canceled')) then ops.now()
           else i.link_due_at end
   where i.provider = apply_charge.provider and i.id = v_intent;
  if v_payment is null then
    return 'kept';
  end if;
  perform payments.reckon(v_payment, apply_charge.caused_by);
  return 'reckoned';
end
$$;
