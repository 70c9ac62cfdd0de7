-- ops.attempt_event: applies a stored event, and says in its row what became of it.
-- `applied`; `parked`: what it refers to is not there yet (TG010); `failed`: its error is kept, and it is tried again; after 14
--   tries, two days, it is `dead`, and an alarm is open until it goes through, whoever has it tried again.
-- Guarantees: the effect runs in a subblock that ends with its deferred constraints: a failed one leaves nothing but its error.
--   An error of the moment is raised again. Locks: the caller holds the event's row, or has just inserted it.
-- Callers: ops.receive_event, ops.apply_fetched, ops.events_retry, ops.replay_event
create or replace function ops.attempt_event(provider text, id text)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_event record;
  v_outcome text;
  v_state text := 'applied';
  v_waits_for text;
  v_error text;
  v_sqlstate text;
begin
  select e.state, e.fact, e.error, e.type, e.occurred_at, e.attempts + 1 as attempts into strict v_event
    from ops.event e
   where e.provider = attempt_event.provider and e.id = attempt_event.id;
  if v_event.fact is null then
    v_state := 'failed';
    v_error := v_event.error;
  else
    begin
      v_outcome := ops.apply_event(attempt_event.provider, v_event.fact, attempt_event.id, v_event.occurred_at);
      set constraints all immediate;
    exception when others then
      get stacked diagnostics v_sqlstate = returned_sqlstate, v_error = message_text;
      -- A deferred constraint fails after the effect has told its outcome, and variables are not rolled back.
      v_outcome := null;
      if ops.is_passing(v_sqlstate) then
        raise;
      elsif v_sqlstate = 'TG010' then
        v_state := 'parked';
        v_waits_for := v_error;
        v_error := null;
      else
        v_state := 'failed';
        v_error := v_sqlstate || ': ' || v_error;
      end if;
    end;
  end if;
  if v_state <> 'applied' and v_event.attempts >= 14 then
    v_state := 'dead';
    v_error := coalesce(v_error, 'it refers to what never came: ' || v_waits_for);
    -- Events of one stranger's (another product's on the same account) are one matter, and not one each.
    perform ops.raise_alarm('event_dead', coalesce(v_waits_for, attempt_event.provider || ':' || attempt_event.id),
      jsonb_build_object('type', v_event.type, 'error', v_error, 'event', attempt_event.id));
  -- Not of one that goes through at its first try, which was never dead.
  elsif v_state = 'applied' and (v_event.attempts > 1 or v_event.state <> 'failed') then
    perform ops.close_alarm('event_dead', attempt_event.provider || ':' || attempt_event.id);
  end if;
  update ops.event e
     set state = v_state, outcome = v_outcome, error = v_error, waits_for = v_waits_for, attempts = v_event.attempts,
         applied_at = case when v_state = 'applied' then coalesce(e.applied_at, ops.now()) else e.applied_at end,
         -- One minute, two, four, … to half a day: two days in all.
         next_attempt_at = case when v_state in ('parked', 'failed')
           then ops.now() + least(interval '12 hours', interval '1 minute' * power(2, v_event.attempts - 1)) end
   where e.provider = attempt_event.provider and e.id = attempt_event.id;
  return v_state;
end
$$;
