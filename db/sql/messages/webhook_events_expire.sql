-- messages.webhook_events_expire: drops events after 35 days, and what of them could never be delivered (messages that were
-- delivered or canceled go by messages.outbox_expire). Callers: worker (sweep webhook_events_expire)
create or replace function messages.webhook_events_expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_dead integer;
begin
  with old as materialized (
    select w.id from messages.webhook_event w
     where w.created_at <= (select ops.now()) - interval '35 days'
     order by w.created_at, w.id
     limit webhook_events_expire.batch
       for update skip locked
  )
  delete from messages.webhook_event w using old where w.id = old.id;
  get diagnostics webhook_events_expire.processed = row_count;
  with old as materialized (
    select o.id from messages.outbox o
     where o.channel = 'webhook' and o.state = 'dead' and o.created_at <= (select ops.now()) - interval '35 days'
     order by o.id
     limit webhook_events_expire.batch
       for update skip locked
  )
  delete from messages.outbox o using old where o.id = old.id;
  get diagnostics v_dead = row_count;
  webhook_events_expire.more := greatest(webhook_events_expire.processed, v_dead) = webhook_events_expire.batch;
  webhook_events_expire.processed := webhook_events_expire.processed + v_dead;
  webhook_events_expire.failed := 0;
end
$$;
