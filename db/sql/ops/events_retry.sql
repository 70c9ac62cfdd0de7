-- ops.events_retry: tries parked and failed events again whose time has come.
-- Guarantees: each event in a subtransaction of its own: one that fails keeps to itself. Others at the same time take others.
--   An error of the moment leaves the event due, and is counted as failed.
-- Locks: the events' rows (SKIP LOCKED), one after the other with what its effect locks. Callers: worker (sweep events_retry)
create or replace function ops.events_retry(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_event record;
  v_count integer := 0;
  v_state text;
begin
  events_retry.processed := 0;
  events_retry.failed := 0;
  for v_event in
    select e.provider, e.id from ops.event e
     where e.next_attempt_at <= (select ops.now()) and e.state in ('parked', 'failed')
     order by e.next_attempt_at, e.provider, e.id
     limit events_retry.batch
       for no key update skip locked
  loop
    v_count := v_count + 1;
    begin
      v_state := ops.attempt_event(v_event.provider, v_event.id);
      if v_state = 'applied' then
        events_retry.processed := events_retry.processed + 1;
      else
        events_retry.failed := events_retry.failed + 1;
      end if;
    exception when others then
      if not ops.is_passing(sqlstate) then
        raise;
      end if;
      events_retry.failed := events_retry.failed + 1;
    end;
  end loop;
  events_retry.more := v_count = events_retry.batch and events_retry.processed > 0;
end
$$;
