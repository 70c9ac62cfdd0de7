-- billing.subscription_lifecycle: rows move only as ops.transition allows, and each update steps the version.
create or replace trigger subscription_lifecycle
  before insert or update on billing.subscription
  for each row execute function ops.lifecycle();
