-- payments.store_dispute: a dispute as the provider told it at `seen_at` (of a fetched one: when it was asked for). Within one
-- second, an end is newer than what was open. What is older is left, but where it says otherwise, it is in doubt (our clock is
-- not the provider's), as are two ends within one second: what is in doubt is fetched.
-- Locks: the caller holds the intent. Callers: payments.apply_dispute, payments.sync_intent
create or replace function payments.store_dispute(provider text, intent text, fact jsonb, seen_at timestamptz)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_status text := store_dispute.fact ->> 'status';
  v_state text := case
    when v_status like 'warning%' then 'inquiry'
    when v_status in ('won', 'prevented') then 'won'
    when v_status = 'lost' then 'lost'
    else 'open' end;
begin
  insert into payments.dispute as d (provider, id, intent_id, amount_minor, state, seen_at, created_at)
  values (store_dispute.provider, store_dispute.fact ->> 'dispute', store_dispute.intent,
          (store_dispute.fact ->> 'amount')::bigint, v_state, store_dispute.seen_at, ops.now())
  on conflict on constraint dispute_pk do update
    set state = excluded.state, amount_minor = excluded.amount_minor, seen_at = excluded.seen_at
    where d.seen_at < excluded.seen_at
       or d.seen_at = excluded.seen_at and d.state in ('open', 'inquiry') and excluded.state <> 'inquiry';
  if not found then
    update payments.intent i set link_due_at = ops.now()
      from payments.dispute d
     where i.provider = store_dispute.provider and i.id = store_dispute.intent
       and d.provider = store_dispute.provider and d.id = store_dispute.fact ->> 'dispute'
       and d.state <> v_state and (d.seen_at > store_dispute.seen_at or v_state in ('won', 'lost'));
  end if;
end
$$;
