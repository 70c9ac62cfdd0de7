-- payments.redemption_lifecycle: rows move only as ops.transition allows, and each update steps the version.
create or replace trigger redemption_lifecycle
  before insert or update on payments.redemption
  for each row execute function ops.lifecycle();
