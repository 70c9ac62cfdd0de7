-- ledger.reset: a pool becomes `amount`, whatever was left in it; no other pool is touched (A3). A renewal does this.
-- Guarantees: the pool's lots are closed and what was left in them goes to `expired`; the new lot holds
--   max(0, amount − debt), and the debt is paid by the difference. Amount 0 only empties the pool.
-- Locks: account, then its lots. Refuses: expires_in_past, idempotency_key_expired, idempotency_key_reused.
-- Callers: worker
create or replace function ledger.reset(
  owner_id uuid,
  unit text,
  pool text,
  amount bigint,
  expires_at timestamptz,
  reason text,
  idempotency_key text,
  caused_by text,
  payment_id uuid default null,
  out transaction_id uuid,
  out lot_id uuid,
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
  v_old record;
  v_new record;
  v_sides text[] := '{}';
  v_lots uuid[] := '{}';
  v_amounts bigint[] := '{}';
begin
  v_account := ledger.lock_account(reset.owner_id, reset.unit);

  -- Empty lots of the pool are closed too: what a hold returns to them later belongs to the period that has ended.
  for v_old in
    update ledger.lot l
       set available = 0, empty = true, expired = l.expired + l.available, closed_at = ops.now()
     where l.owner_id = reset.owner_id and l.unit = reset.unit and l.pool = reset.pool and l.closed_at is null
    returning l.id, old.available as available
  loop
    if v_old.available > 0 then
      v_sides := v_sides || '{available,expired}'::text[];
      v_lots := v_lots || array[v_old.id, v_old.id];
      v_amounts := v_amounts || array[-v_old.available, v_old.available];
    end if;
  end loop;
  update ledger.account a
     set available = (
           select coalesce(sum(l.available), 0) from ledger.lot l
            where l.owner_id = reset.owner_id and l.unit = reset.unit and not l.empty),
         next_expiry = (
           select min(l.expires_at) from ledger.lot l
            where l.owner_id = reset.owner_id and l.unit = reset.unit and not l.empty)
   where a.owner_id = reset.owner_id and a.unit = reset.unit;
  perform ledger.note_fall(reset.owner_id, reset.unit, v_account.available);

  if reset.amount > 0 then
    v_new := ledger.add_lot(reset.owner_id, reset.unit, reset.pool, reset.amount, v_account.debt, reset.expires_at,
      reset.payment_id);
    reset.lot_id := v_new.lot_id;
    v_sides := v_sides || 'issued'::text; v_lots := v_lots || v_new.lot_id; v_amounts := v_amounts || -reset.amount;
    if v_new.available > 0 then
      v_sides := v_sides || 'available'::text; v_lots := v_lots || v_new.lot_id; v_amounts := v_amounts || v_new.available;
    end if;
    if v_new.debt_paid > 0 then
      v_sides := v_sides || 'debt'::text; v_lots := v_lots || v_new.lot_id; v_amounts := v_amounts || v_new.debt_paid;
    end if;
  end if;
  reset.transaction_id := ledger.post(reset.owner_id, reset.unit, 'reset', reset.amount, v_sides, v_lots, v_amounts,
    reset.idempotency_key, reset.caused_by, reset.reason);

  select b.* into reset.available, reset.held, reset.debt, reset.pools, reset.pool_available, reset.pool_expires_at
    from ledger.balance_of(reset.owner_id, reset.unit) b;
end
$$;
