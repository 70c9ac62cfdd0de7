-- payments.purchase_lifecycle: rows move only as ops.transition allows, and each update steps the version.
create or replace trigger purchase_lifecycle
  before insert or update on payments.purchase
  for each row execute function ops.lifecycle();
