-- ops.wait_for: ends the application of an event that came before what it refers to: SQLSTATE TG010, with its name. The event
-- is parked, and tried again when that exists (ops.wake_events) or its time has come.
-- Callers: every routine that applies events
create or replace function ops.wait_for(what text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  raise exception using errcode = 'TG010', message = wait_for.what;
end
$$;
