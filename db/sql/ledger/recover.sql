-- ledger.recover: takes up to `amount` of what one lot gave back from its account: from the lot, then (for what the lot
-- lacks because it was spent or is held) from the other lots in drain order, then as debt. What had expired or been reset
-- never becomes debt. With `forgive`, nothing becomes debt: what would is the lot's `forgiven`, for ever. `taken` says how
-- much, `lacking` what became debt or was forgiven; `sides`, `lots`, `amounts` are the entries for it, without the far side.
-- Guarantees: of what a lot was given, nothing is recovered twice. What others paid for the lot is `covered`, so that they
--   are compensated when it comes back (ledger.put_back) or is given again (ledger.give_again).
-- Locks: the caller holds the account's row; then the lots. The account's available and debt are moved here.
-- Callers: ledger.take_back, ledger.reverse
create or replace function ledger.recover(
  owner_id uuid,
  unit text,
  lot_id uuid,
  amount bigint,
  forgive boolean default false,
  out taken bigint,
  out lacking bigint,
  out sides text[],
  out lots uuid[],
  out amounts bigint[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_lot record;
  v_account record;
  v_other record;
  v_from_lot bigint;
  v_lacking bigint;
  v_from_others bigint;
  v_forgiven bigint := 0;
begin
  select l.given, l.available, l.expired, l.recovered into strict v_lot
    from ledger.lot l
   where l.owner_id = recover.owner_id and l.unit = recover.unit and l.id = recover.lot_id
     for no key update;
  select a.available into strict v_account
    from ledger.account a
   where a.owner_id = recover.owner_id and a.unit = recover.unit;
  v_from_lot := least(recover.amount, v_lot.available);
  v_lacking := least(recover.amount - v_from_lot, v_lot.given - v_lot.available - v_lot.expired - v_lot.recovered);
  v_from_others := least(v_lacking, v_account.available - v_from_lot);
  if recover.forgive then
    v_forgiven := v_lacking - v_from_others;
    v_lacking := v_from_others;
  end if;

  update ledger.lot l
     set available = l.available - v_from_lot, empty = (l.available = v_from_lot),
         recovered = l.recovered + v_from_lot + v_lacking, covered = l.covered + v_lacking,
         forgiven = l.forgiven + v_forgiven
   where l.owner_id = recover.owner_id and l.unit = recover.unit and l.id = recover.lot_id;
  update ledger.account a
     set available = a.available - v_from_lot - v_from_others, debt = a.debt + v_lacking - v_from_others
   where a.owner_id = recover.owner_id and a.unit = recover.unit;
  perform ledger.note_fall(recover.owner_id, recover.unit, v_account.available);

  recover.taken := v_from_lot + v_lacking;
  recover.lacking := v_lacking - v_from_others + v_forgiven;
  recover.sides := '{}';
  recover.lots := '{}';
  recover.amounts := '{}';
  if v_from_lot > 0 then
    recover.sides := recover.sides || 'available'::text;
    recover.lots := recover.lots || recover.lot_id;
    recover.amounts := recover.amounts || -v_from_lot;
  end if;
  if v_from_others > 0 then
    v_other := ledger.take(recover.owner_id, recover.unit, v_from_others);
    for i in 1 .. cardinality(v_other.lots) loop
      recover.sides := recover.sides || 'available'::text;
      recover.lots := recover.lots || v_other.lots[i];
      recover.amounts := recover.amounts || -v_other.amounts[i];
    end loop;
  end if;
  if v_lacking > v_from_others then
    recover.sides := recover.sides || 'debt'::text;
    recover.lots := recover.lots || recover.lot_id;
    recover.amounts := recover.amounts || v_from_others - v_lacking;
  end if;
end
$$;
