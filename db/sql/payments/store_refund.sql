-- payments.store_refund: a refund as the provider tells it. One that failed or was canceled stays so, whatever comes late.
-- Locks: the caller holds the intent. Callers: payments.apply_refund, payments.sync_intent, payments.refund_payment
create or replace function payments.store_refund(provider text, intent text, fact jsonb)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into payments.refund as r (provider, id, intent_id, amount_minor, state, created_at)
  values (store_refund.provider, store_refund.fact ->> 'refund', store_refund.intent,
          (store_refund.fact ->> 'amount')::bigint, store_refund.fact ->> 'status', ops.now())
  on conflict on constraint refund_pk do update
    set state = excluded.state, amount_minor = excluded.amount_minor
    where r.state not in ('failed', 'canceled') and (r.state <> 'succeeded' or excluded.state in ('failed', 'canceled'));
end
$$;
