-- ledger.hold_told: a hold that ended by itself is told to the operator's endpoints, in the statement that ends it. Not those of promo
-- codes: they are no workspace's.
create or replace trigger hold_told
  after update on ledger.hold
  for each row
  when (new.state = 'expired' and old.state = 'held' and new.unit <> 'redemption')
  execute function ledger.tell_hold();
