-- ledger.transaction_append_only: movements are history; a correction is a new transaction (ledger.reverse).
create or replace trigger transaction_append_only
  before update or delete or truncate on ledger.transaction
  for each statement execute function ops.append_only();
