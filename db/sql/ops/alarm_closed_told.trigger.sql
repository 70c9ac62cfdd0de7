-- ops.alarm_closed_told: that an alarm has closed is told to the operator's endpoints, in the statement that closes it.
create or replace trigger alarm_closed_told
  after update on ops.alarm
  for each row
  when (old.closed_at is null and new.closed_at is not null)
  execute function ops.tell_alarm();
