-- ledger.transaction_balanced: double entry, by the database itself.
create or replace trigger transaction_balanced
  before insert on ledger.transaction
  for each row execute function ledger.refuse_unbalanced();
