-- ops.event_lifecycle: rows move only as ops.transition allows, and each update steps the version.
create or replace trigger event_lifecycle
  before insert or update on ops.event
  for each row execute function ops.lifecycle();
