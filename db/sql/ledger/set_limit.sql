-- ledger.set_limit: an account's limit (seats, bytes) becomes `amount`, whatever of it is in use.
-- Guarantees: raising it pays debt first; lowering it below what is in use leaves a debt, which what is given back later
--   pays: nobody is thrown out, and nothing new is taken until use is under the limit (B8).
-- Locks: account, then lots. Refuses: balance_limit_exceeded, idempotency_key_expired,
--   idempotency_key_reused.
-- Callers: worker, billing's routines
create or replace function ledger.set_limit(
  owner_id uuid,
  unit text,
  amount bigint,
  idempotency_key text,
  caused_by text,
  out transaction_id uuid,
  out available bigint,
  out held bigint,
  out debt bigint,
  out pools text[],
  out pool_available bigint[],
  out pool_expires_at timestamptz[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_account record;
  v_lot record;
  v_other record;
  v_change bigint;
  v_from_lot bigint := 0;
  v_from_others bigint := 0;
  v_debt_paid bigint := 0;
  v_sides text[] := '{}';
  v_lots uuid[] := '{}';
  v_amounts bigint[] := '{}';
  v_total bigint;
begin
  v_account := ledger.lock_account(set_limit.owner_id, set_limit.unit);
  select l.id, l.given, l.available into v_lot
    from ledger.lot l
   where l.owner_id = set_limit.owner_id and l.unit = set_limit.unit and l.pool = 'limit' and l.closed_at is null;
  if not found then
    v_lot.id := (ledger.add_lot(set_limit.owner_id, set_limit.unit, 'limit', 0, 0, null, null)).lot_id;
    v_lot.given := 0;
    v_lot.available := 0;
  end if;

  v_change := set_limit.amount - v_lot.given;
  if v_change > 0 then
    v_debt_paid := least(v_account.debt, v_change);
    v_from_lot := v_debt_paid - v_change;
  elsif v_change < 0 then
    v_from_lot := least(-v_change, v_lot.available);
    v_from_others := least(-v_change - v_from_lot, v_account.available - v_from_lot);
    v_debt_paid := v_change + v_from_lot + v_from_others;
  end if;
  update ledger.lot l
     set given = set_limit.amount, available = l.available - v_from_lot, empty = (l.available = v_from_lot)
   where l.owner_id = set_limit.owner_id and l.unit = set_limit.unit and l.id = v_lot.id;
  update ledger.account a
     set available = a.available - v_from_lot - v_from_others, debt = a.debt - v_debt_paid
   where a.owner_id = set_limit.owner_id and a.unit = set_limit.unit
  returning a.available + a.held into strict v_total;
  if v_total > 9007199254740991 then
    perform ops.refuse('balance_limit_exceeded');
  end if;

  if v_change <> 0 then
    v_sides := array['issued']; v_lots := array[v_lot.id]; v_amounts := array[-v_change];
  end if;
  if v_from_lot <> 0 then
    v_sides := v_sides || 'available'::text; v_lots := v_lots || v_lot.id; v_amounts := v_amounts || -v_from_lot;
  end if;
  if v_debt_paid <> 0 then
    v_sides := v_sides || 'debt'::text; v_lots := v_lots || v_lot.id; v_amounts := v_amounts || v_debt_paid;
  end if;
  if v_from_others > 0 then
    v_other := ledger.take(set_limit.owner_id, set_limit.unit, v_from_others);
    for i in 1 .. cardinality(v_other.lots) loop
      v_sides := v_sides || 'available'::text; v_lots := v_lots || v_other.lots[i]; v_amounts := v_amounts || -v_other.amounts[i];
    end loop;
  end if;
  set_limit.transaction_id := ledger.post(set_limit.owner_id, set_limit.unit, 'limit', set_limit.amount, v_sides, v_lots,
    v_amounts, set_limit.idempotency_key, set_limit.caused_by);

  select b.* into set_limit.available, set_limit.held, set_limit.debt, set_limit.pools, set_limit.pool_available,
      set_limit.pool_expires_at
    from ledger.balance_of(set_limit.owner_id, set_limit.unit) b;
end
$$;
