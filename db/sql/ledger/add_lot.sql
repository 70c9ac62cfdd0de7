-- ledger.add_lot: a new lot of `given`; debt is paid from it first, the rest becomes available.
-- Locks: the caller holds the account's row. Refuses: expires_in_past, balance_limit_exceeded
--   (with what is held, which returns).
-- Callers: ledger.grant, ledger.reset, ledger.adjust, ledger.set_limit, ledger.compensate
create or replace function ledger.add_lot(
  owner_id uuid,
  unit text,
  pool text,
  given bigint,
  debt bigint,
  expires_at timestamptz,
  payment_id uuid,
  out lot_id uuid,
  out available bigint,
  out debt_paid bigint
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_total bigint;
begin
  if add_lot.expires_at <= v_now then
    perform ops.refuse('expires_in_past');
  end if;
  add_lot.lot_id := uuidv7();
  add_lot.debt_paid := least(add_lot.debt, add_lot.given);
  add_lot.available := add_lot.given - add_lot.debt_paid;
  insert into ledger.lot
    (owner_id, unit, id, pool, drain_order, given, available, empty, payment_id, expires_at, created_at)
  values
    (add_lot.owner_id, add_lot.unit, add_lot.lot_id, add_lot.pool, ledger.drain_order(add_lot.pool), add_lot.given,
     add_lot.available, add_lot.available = 0, add_lot.payment_id, add_lot.expires_at, v_now);
  update ledger.account a
     set available = a.available + add_lot.available,
         debt = a.debt - add_lot.debt_paid,
         next_expiry = case when add_lot.available > 0 then least(a.next_expiry, add_lot.expires_at) else a.next_expiry end
   where a.owner_id = add_lot.owner_id and a.unit = add_lot.unit
  returning a.available + a.held into strict v_total;
  if v_total > 9007199254740991 then
    perform ops.refuse('balance_limit_exceeded');
  end if;
end
$$;
