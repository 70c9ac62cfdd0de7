-- ops.replay_event: an operator has an event applied again, whatever became of it. What it did already is not done twice: its
-- effects have names. One whose object must be fetched, or that could not be read, is fetched anew; so is one that was not
-- ours by the key that we had then: if it is not by the one that we have now, it is not found, and ignored.
-- Guarantees: an audit row in the same statement. Refuses: not_found.
-- Locks: the event's row, then what the effect locks. Callers: worker
create or replace function ops.replay_event(
  inout provider text,
  inout id text,
  caused_by text,
  out state text,
  out outcome text,
  out error text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_event record;
begin
  select e.state, e.fact into v_event
    from ops.event e
   where e.provider = replay_event.provider and e.id = replay_event.id
     for no key update;
  if not found then
    perform ops.refuse('not_found');
  end if;
  -- A person asks: its tries begin anew.
  if v_event.fact is not null and v_event.state <> 'foreign' then
    update ops.event e set attempts = 0 where e.provider = replay_event.provider and e.id = replay_event.id;
    perform ops.attempt_event(replay_event.provider, replay_event.id);
  elsif v_event.state in ('dead', 'failed', 'fetching', 'foreign') then
    update ops.event e set state = 'fetching', attempts = 0, next_attempt_at = ops.now()
     where e.provider = replay_event.provider and e.id = replay_event.id;
  end if;
  perform ops.record_change(
    workspace_id => null, actor => replay_event.caused_by, action => 'event.replay',
    subject => 'event:' || replay_event.id, detail => jsonb_build_object('state', v_event.state));
  select e.state, e.outcome, e.error into strict replay_event.state, replay_event.outcome, replay_event.error
    from ops.event e
   where e.provider = replay_event.provider and e.id = replay_event.id;
end
$$;
