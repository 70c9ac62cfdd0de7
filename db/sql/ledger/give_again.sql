-- ledger.give_again: gives `amount` of what was recovered from a lot again: first what other lots or debt had paid for it
-- (ledger.compensate), also when the lot is over; then what had been in the lot, as ledger.put_back does.
-- Locks: the caller holds the account's row; then the lot. Returns the entries without the far side.
-- Callers: ledger.take_back
create or replace function ledger.give_again(
  owner_id uuid,
  unit text,
  lot_id uuid,
  amount bigint,
  out sides text[],
  out lots uuid[],
  out amounts bigint[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_covered bigint;
  v_back record;
begin
  give_again.sides := '{}';
  give_again.lots := '{}';
  give_again.amounts := '{}';
  update ledger.lot l
     set recovered = l.recovered - give_again.amount, covered = l.covered - least(l.covered, give_again.amount)
   where l.owner_id = give_again.owner_id and l.unit = give_again.unit and l.id = give_again.lot_id
  returning old.covered - new.covered into strict v_covered;
  if v_covered > 0 then
    v_back := ledger.compensate(give_again.owner_id, give_again.unit, give_again.lot_id, v_covered);
    give_again.sides := v_back.sides;
    give_again.lots := v_back.lots;
    give_again.amounts := v_back.amounts;
  end if;
  if v_covered < give_again.amount then
    v_back := ledger.put_back(give_again.owner_id, give_again.unit, give_again.lot_id, give_again.amount - v_covered);
    give_again.sides := give_again.sides || v_back.sides;
    give_again.lots := give_again.lots || v_back.lots;
    give_again.amounts := give_again.amounts || v_back.amounts;
  end if;
end
$$;
