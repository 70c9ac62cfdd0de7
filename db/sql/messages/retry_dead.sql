-- messages.retry_dead: a person has the dead messages of a channel sent again, the oldest 1,000 at most: their tries begin anew, and its circuit
-- closes. `more`: there were more. Guarantees: an audit row in the same statement, where there were any; their alarms close;
-- the channel's does when nothing of it is dead any more, whoever had the last one sent again.
-- Refuses: not_found (nobody delivers this channel, and nothing of it is dead).
-- Locks: the messages, SKIP LOCKED; then the channel, then the alarm. Callers: worker
create or replace function messages.retry_dead(
  inout channel text,
  caused_by text,
  out retried integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_id uuid;
begin
  with dead as materialized (
    select o.id from messages.outbox o
     where o.channel = retry_dead.channel and o.state = 'dead'
     order by o.id
     limit 1000
       for no key update skip locked
  ), again as (
    update messages.outbox o set state = 'queued', due_at = ops.now(), attempts = 0, settled_at = null
      from dead where o.id = dead.id
    returning o.id
  )
  select coalesce(array_agg(a.id order by a.id), '{}') into v_ids from again a;
  retry_dead.retried := cardinality(v_ids);
  retry_dead.more := retry_dead.retried = 1000;
  if retry_dead.retried = 0 and not exists (select from messages.channel c where c.name = retry_dead.channel) then
    perform ops.refuse('not_found');
  end if;
  perform messages.recovered(array[retry_dead.channel], null);
  perform messages.none_dead(retry_dead.channel);
  -- Also one that asked to wait: who asks for this knows that it may be asked again.
  update messages.channel c set open_until = null, changed_at = ops.now()
   where c.name = retry_dead.channel and c.open_until is not null;
  if retry_dead.retried > 0 then
    foreach v_id in array v_ids loop
      perform ops.close_alarm('message_dead', v_id::text);
    end loop;
    perform ops.record_change(
      workspace_id => null, actor => retry_dead.caused_by, action => 'channel.retry',
      subject => 'channel:' || retry_dead.channel, detail => jsonb_build_object('retried', retry_dead.retried));
  end if;
end
$$;
