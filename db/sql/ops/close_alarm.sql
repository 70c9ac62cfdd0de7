-- ops.close_alarm: what was wrong is right again, or a person has dealt with it. Closing again changes nothing.
-- Callers: every routine and sweep
create or replace function ops.close_alarm(code text, subject text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update ops.alarm a set closed_at = ops.now()
   where a.code = close_alarm.code and a.subject = close_alarm.subject and a.closed_at is null;
end
$$;
