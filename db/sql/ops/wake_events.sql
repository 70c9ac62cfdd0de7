-- ops.wake_events: what events waited for exists now: they are due at once.
-- Callers: routines that make what events refer to
create or replace function ops.wake_events(what text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update ops.event e set next_attempt_at = ops.now()
   where e.waits_for = wake_events.what and e.state = 'parked' and e.next_attempt_at > ops.now();
end
$$;
