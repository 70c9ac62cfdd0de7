-- ops.receive_event: the inbox: stores an event from outside, once by its id, and applies its effect, in one statement (A1, A10).
-- `fact` is what the effect needs; null: an event that concerns nothing of ours. `foreign_because`: it is not ours (another mode
-- or account): stored without effect, under an alarm. `fetch_because`: what it tells must be fetched (another version of the
-- API). `fault`: it could not be read. A poison event is stored with its error, and tried again by ops.events_retry.
-- Guarantees: an event's effect and its mark are one: neither without the other, at any crash point. A second delivery waits
--   for the first, and changes nothing. An error of the moment (ops.is_passing) rolls all back, so that the sender repeats.
-- Locks: the event's row (by its key), then what the effect locks.
-- Callers: worker
create or replace function ops.receive_event(
  provider text,
  id text,
  type text,
  subject text,
  occurred_at timestamptz,
  fact jsonb,
  payload text,
  foreign_because text default null,
  fetch_because text default null,
  fault text default null,
  out state text,
  out outcome text,
  out duplicate boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_state text := case
    when receive_event.foreign_because is not null then 'foreign'
    when receive_event.fetch_because is not null then 'fetching'
    when receive_event.fault is not null then 'failed'
    -- Until its effect is there: whoever dies before that leaves no row.
    when receive_event.fact is not null then 'failed'
    else 'ignored' end;
begin
  insert into ops.event
    (provider, id, type, subject, state, fact, payload, outcome, error, next_attempt_at, occurred_at, received_at)
  values
    (receive_event.provider, receive_event.id, receive_event.type, receive_event.subject, v_state, receive_event.fact,
     receive_event.payload, coalesce(receive_event.foreign_because, receive_event.fetch_because), receive_event.fault,
     case when v_state in ('failed', 'fetching') then v_now end, receive_event.occurred_at, v_now)
  on conflict on constraint event_pk do nothing;
  receive_event.duplicate := not found;
  if receive_event.duplicate then
    -- A statement of its own: it sees what the insert waited for.
    select e.state, e.outcome into strict receive_event.state, receive_event.outcome
      from ops.event e
     where e.provider = receive_event.provider and e.id = receive_event.id;
    return;
  end if;

  if v_state = 'foreign' then
    perform ops.raise_alarm('event_foreign', receive_event.provider,
      jsonb_build_object('event', receive_event.id, 'type', receive_event.type, 'because', receive_event.foreign_because));
  elsif v_state = 'failed' then
    perform ops.attempt_event(receive_event.provider, receive_event.id);
  end if;
  select e.state, e.outcome into strict receive_event.state, receive_event.outcome
    from ops.event e
   where e.provider = receive_event.provider and e.id = receive_event.id;
end
$$;
