-- messages.broadcast_lifecycle: rows move only as ops.transition allows, and each update steps the version.
create or replace trigger broadcast_lifecycle
  before insert or update on messages.broadcast
  for each row execute function ops.lifecycle();
