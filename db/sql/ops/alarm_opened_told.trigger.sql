-- ops.alarm_opened_told: a new alarm is told to the operator's endpoints, in the statement that raises it.
create or replace trigger alarm_opened_told
  after insert on ops.alarm
  for each row execute function ops.tell_alarm();
