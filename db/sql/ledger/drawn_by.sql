-- ledger.drawn_by: the pools that a transaction drew from, and how much of each lot.
-- Callers: ledger.spend
create or replace function ledger.drawn_by(
  owner_id uuid,
  unit text,
  transaction_id uuid,
  out pools text[],
  out amounts bigint[]
)
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select array_agg(l.pool order by e.position), array_agg(-e.amount order by e.position)
    into drawn_by.pools, drawn_by.amounts
    from ledger.transaction t
   cross join lateral unnest(t.sides, t.lots, t.amounts) with ordinality e(side, lot_id, amount, position)
    join ledger.lot l on l.owner_id = t.owner_id and l.unit = t.unit and l.id = e.lot_id
   where t.owner_id = drawn_by.owner_id and t.unit = drawn_by.unit and t.id = drawn_by.transaction_id
     and e.side = 'available';
end
$$;
