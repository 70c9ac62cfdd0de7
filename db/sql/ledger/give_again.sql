-- ledger.give_again: gives `amount` of what was recovered from a lot again: it pays debt first, even when the lot is over
-- (the debt may be the recovery's own), and the rest goes where ledger.put_back puts it.
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
  v_debt_paid bigint;
  v_back record;
begin
  give_again.sides := '{}';
  give_again.lots := '{}';
  give_again.amounts := '{}';
  update ledger.lot l set recovered = l.recovered - give_again.amount
   where l.owner_id = give_again.owner_id and l.unit = give_again.unit and l.id = give_again.lot_id;
  update ledger.account a set debt = a.debt - least(a.debt, give_again.amount)
   where a.owner_id = give_again.owner_id and a.unit = give_again.unit
  returning old.debt - new.debt into strict v_debt_paid;
  if v_debt_paid > 0 then
    give_again.sides := give_again.sides || 'debt'::text;
    give_again.lots := give_again.lots || give_again.lot_id;
    give_again.amounts := give_again.amounts || v_debt_paid;
  end if;
  if v_debt_paid < give_again.amount then
    v_back := ledger.put_back(give_again.owner_id, give_again.unit, give_again.lot_id, give_again.amount - v_debt_paid);
    if v_back.available > 0 then
      give_again.sides := give_again.sides || 'available'::text;
      give_again.lots := give_again.lots || give_again.lot_id;
      give_again.amounts := give_again.amounts || v_back.available;
    end if;
    if v_back.expired > 0 then
      give_again.sides := give_again.sides || 'expired'::text;
      give_again.lots := give_again.lots || give_again.lot_id;
      give_again.amounts := give_again.amounts || v_back.expired;
    end if;
  end if;
end
$$;
