-- ledger.compensate: gives the account back what its other lots or its debt had paid for one lot (`covered`), and need not
-- have: it pays debt first; the rest is a new lot of pool `returned`, for whose it was is not known any more. It never
-- expires and no reset touches it, as it stands for what may have been bulk credits.
-- Locks: the caller holds the account's row. Returns the entries without the far side. Refuses: balance_limit_exceeded.
-- Callers: ledger.put_back, ledger.give_again
create or replace function ledger.compensate(
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
  v_new record;
begin
  compensate.sides := '{}';
  compensate.lots := '{}';
  compensate.amounts := '{}';
  update ledger.account a set debt = a.debt - least(a.debt, compensate.amount)
   where a.owner_id = compensate.owner_id and a.unit = compensate.unit
  returning old.debt - new.debt into strict v_debt_paid;
  if v_debt_paid > 0 then
    compensate.sides := compensate.sides || 'debt'::text;
    compensate.lots := compensate.lots || compensate.lot_id;
    compensate.amounts := compensate.amounts || v_debt_paid;
  end if;
  if v_debt_paid < compensate.amount then
    v_new := ledger.add_lot(compensate.owner_id, compensate.unit, 'returned', compensate.amount - v_debt_paid, 0, null, null);
    compensate.sides := compensate.sides || 'available'::text;
    compensate.lots := compensate.lots || v_new.lot_id;
    compensate.amounts := compensate.amounts || v_new.available;
  end if;
end
$$;
