-- ledger.note_fall: an account that had `available` credits and has been taken from: where that was at its mark or above, and is below now,
-- the fall is counted, and told when the transaction ends (trigger account_low_told). Where it has no mark, or has not passed it, nothing
-- is written. Marks are of credits: what only money, seats and bytes go through does not call this.
-- Locks: the caller holds the account's row. Callers: ledger.spend, ledger.spend_many, ledger.hold, ledger.adjust, ledger.expire_due,
--   ledger.recover, ledger.reset
create or replace function ledger.note_fall(owner_id uuid, unit text, available bigint)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update ledger.account a set lows = a.lows + 1
   where a.owner_id = note_fall.owner_id and a.unit = note_fall.unit and a.available < a.low_at
     and a.low_at <= note_fall.available;
end
$$;
