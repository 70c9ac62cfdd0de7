-- ops.events_expire: drops events that are over after 35 days: providers send again for 30. What they did stays, with its keys.
-- Callers: worker (sweep events_expire)
create or replace function ops.events_expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  with old as materialized (
    select e.provider, e.id from ops.event e
     where e.received_at <= (select ops.now()) - interval '35 days' and e.state in ('applied', 'ignored', 'foreign')
     order by e.received_at
     limit events_expire.batch
       for update skip locked
  )
  delete from ops.event e using old where e.provider = old.provider and e.id = old.id;
  get diagnostics events_expire.processed = row_count;
  events_expire.failed := 0;
  events_expire.more := events_expire.processed = events_expire.batch;
end
$$;
