-- ledger.hold_lifecycle: a hold ends exactly once.
create or replace trigger hold_lifecycle
  before insert or update on ledger.hold
  for each row execute function ops.lifecycle();
