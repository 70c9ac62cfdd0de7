-- ops.events_retry: tries a parked or failed event again whose time has come.
-- Guarantees: one event a call, whatever `batch` says: each keeps what it locked until the statement ends, and two in one
--   statement could take workspaces in the order opposite to somebody else's (B14). Others at the same time take others.
--   An error of the moment puts the event off for a minute and is no try, so that none stands in the way of the others.
-- Locks: the event's row (SKIP LOCKED), then what its effect locks. Callers: worker (sweep events_retry)
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
begin
  events_retry.processed := 0;
  events_retry.failed := 0;
  select e.provider, e.id into v_event
    from ops.event e
   where e.next_attempt_at <= (select ops.now()) and e.state in ('parked', 'failed')
   order by e.next_attempt_at, e.provider, e.id
   limit least(events_retry.batch, 1)
     for no key update skip locked;
  events_retry.more := found;
  if not found then
    return;
  end if;
  begin
    if ops.attempt_event(v_event.provider, v_event.id) = 'applied' then
      events_retry.processed := 1;
    else
      events_retry.failed := 1;
    end if;
  exception when others then
    if not ops.is_passing(sqlstate) then
      raise;
    end if;
    events_retry.failed := 1;
    update ops.event e set next_attempt_at = ops.now() + interval '1 minute'
     where e.provider = v_event.provider and e.id = v_event.id;
  end;
end
$$;
