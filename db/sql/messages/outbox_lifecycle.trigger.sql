-- messages.outbox_lifecycle: rows move only as ops.transition allows, and each update steps the version.
create or replace trigger outbox_lifecycle
  before insert or update on messages.outbox
  for each row execute function ops.lifecycle();
