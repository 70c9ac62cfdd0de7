-- payments.sync_intent: what the provider answered when it was asked for a payment intent: the session or invoice that it paid
-- (`reference`, null: nothing of ours), its refunds and its disputes, all of them, as facts.
-- Guarantees: one whose payment is not known here yet is asked for again later, and so is one of which something came to be
--   known while it was asked for: an answer may be older than an event. Locks: the intent, the workspace, then what
--   follows. Callers: worker
create or replace function payments.sync_intent(
  provider text,
  inout id text,
  reference text,
  refunds jsonb,
  disputes jsonb,
  out linked boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment uuid := payments.lock_intent(sync_intent.provider, sync_intent.id, null);
  v_fact jsonb;
  v_asked_at timestamptz;
  v_again boolean;
begin
  select coalesce(i.asked_at, ops.now()) into strict v_asked_at
    from payments.intent i
   where i.provider = sync_intent.provider and i.id = sync_intent.id;
  if v_payment is null then
    select p.id into v_payment
      from payments.payment p
     where p.provider = sync_intent.provider and p.reference = sync_intent.reference;
  end if;
  perform payments.lock_payment(v_payment);
  for v_fact in select x.fact from jsonb_array_elements(sync_intent.refunds) x(fact) loop
    perform payments.store_refund(sync_intent.provider, sync_intent.id, v_fact);
  end loop;
  for v_fact in select x.fact from jsonb_array_elements(sync_intent.disputes) x(fact) loop
    perform payments.store_dispute(sync_intent.provider, sync_intent.id, v_fact, v_asked_at);
  end loop;
  sync_intent.linked := v_payment is not null;
  if sync_intent.linked then
    -- Whoever claimed it put it off: due again, it was marked since.
    select coalesce(i.link_due_at <= ops.now(), false) into strict v_again
      from payments.intent i
     where i.provider = sync_intent.provider and i.id = sync_intent.id;
    perform payments.link_intent(sync_intent.provider, sync_intent.id, v_payment);
    -- All refunds are known now: what the charge told is what they add up to.
    update payments.intent i
       set refunded_seen = case when v_again then i.refunded_seen else 0 end,
           link_due_at = case when v_again then ops.now() end, link_attempts = 0
     where i.provider = sync_intent.provider and i.id = sync_intent.id;
    perform payments.reckon(v_payment, 'sync');
  end if;
end
$$;
