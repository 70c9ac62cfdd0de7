-- ledger.account_low_told: an account that falls below its mark is told to the operator's endpoints, in the transaction that spends.
-- Where there is no mark, or it is not passed, a spend pays for this comparison and no more. Deferred: what counts is where it ends.
create constraint trigger account_low_told
  after update on ledger.account
  deferrable initially deferred
  for each row
  when (new.available < new.low_at and old.available >= new.low_at)
  execute function ledger.tell_low();
