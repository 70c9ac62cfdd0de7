-- ops.lock_alarm: holds an alarm that is open, for one who closes it only where what it tells of is over: whoever raises or closes it
-- waits. Answers whether it is open. Callers: messages.none_dead
create or replace function ops.lock_alarm(code text, subject text)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform from ops.alarm a
   where a.code = lock_alarm.code and a.subject = lock_alarm.subject and a.closed_at is null
     for no key update;
  return found;
end
$$;
