-- ledger.entry: the entries of the transactions as rows. `position` is the entry's place in its transaction.
create or replace view ledger.entry with (security_invoker = true) as
select t.owner_id, t.unit, t.id as transaction_id, e.position, e.side, e.lot_id, e.amount, t.created_at
  from ledger.transaction t
 cross join lateral unnest(t.sides, t.lots, t.amounts) with ordinality e(side, lot_id, amount, position);
