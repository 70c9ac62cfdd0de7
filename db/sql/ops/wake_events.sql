-- ops.wake_events: what events waited for exists now: they are due at once, the dead ones too.
-- Callers: routines that make what events refer to
create or replace function ops.wake_events(what text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update ops.event e
     set state = 'parked', next_attempt_at = ops.now(), attempts = case e.state when 'dead' then 0 else e.attempts end
   where e.waits_for = wake_events.what and (e.state = 'dead' or e.state = 'parked' and e.next_attempt_at > ops.now());
  perform ops.close_alarm('event_dead', wake_events.what);
end
$$;
