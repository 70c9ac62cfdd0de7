-- messages.outbox_expire: drops delivered and canceled messages after 35 days. Dead ones stay until a person has dealt with them.
-- Callers: worker (sweep outbox_expire)
create or replace function messages.outbox_expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  with old as materialized (
    select o.id from messages.outbox o
     where o.settled_at <= (select ops.now()) - interval '35 days' and o.state in ('delivered', 'canceled')
     order by o.settled_at
     limit outbox_expire.batch
       for update skip locked
  )
  delete from messages.outbox o using old where o.id = old.id;
  get diagnostics outbox_expire.processed = row_count;
  outbox_expire.failed := 0;
  outbox_expire.more := outbox_expire.processed = outbox_expire.batch;
end
$$;
