-- ledger.account_low_told: a fall below an account's mark that was counted (ledger.note_fall) is told to the operator's endpoints, in the
-- transaction that took. Of one column, and without a condition: a spend that passes no mark does not pay for this one, while a WHEN is
-- parsed by every UPDATE (measured: 15 µs). Deferred: what counts is where the transaction ends.
create constraint trigger account_low_told
  after update of lows on ledger.account
  deferrable initially deferred
  for each row execute function ledger.tell_low();
