-- messages.recovered: these channels and endpoints took a message: the circuits of those that had failed close, and so do their alarms.
-- Who asked to wait is waited for all the same: what was taken may have been on its way by then.
-- Locks: their rows, in order, only of those that had failed. Callers: messages.settle_many, messages.settle
create or replace function messages.recovered(channels text[], endpoint_ids uuid[])
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  for v_row in
    with failed as materialized (
      select c.name from messages.channel c
       where c.name = any (recovered.channels) and c.failures > 0
       order by c.name
         for no key update
    )
    update messages.channel c
       set failures = 0, open_until = case when c.failures < 5 then c.open_until end, error = null, changed_at = ops.now()
      from failed where c.name = failed.name
    returning c.name
  loop
    perform ops.close_alarm('channel_down', v_row.name);
  end loop;
  for v_row in
    with failed as materialized (
      select e.id from messages.endpoint e
       where e.id = any (recovered.endpoint_ids) and e.failures > 0
       order by e.id
         for no key update
    )
    update messages.endpoint e
       set failures = 0, open_until = case when e.failures < 5 then e.open_until end, error = null, failing_since = null
      from failed where e.id = failed.id
    returning e.id
  loop
    perform ops.close_alarm('endpoint_failing', v_row.id::text);
  end loop;
end
$$;
