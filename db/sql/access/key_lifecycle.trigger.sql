-- access.key_lifecycle: rows move only as ops.transition allows, and each update steps the version.
create or replace trigger key_lifecycle
  before insert or update on access.key
  for each row execute function ops.lifecycle();
