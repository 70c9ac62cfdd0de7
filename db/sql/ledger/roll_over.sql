-- ledger.roll_over: what a pool has left goes on in the pool `rollover`, up to `cap` there, until `expires_at`. A renewal does
-- this before it resets the pool.
-- Guarantees: each part keeps its payment, so that a refund of it still finds what it gave: what goes on is `expired` in its
--   old lot and given in the new one. Nothing to roll over, or no room under the cap: nothing is written.
-- Locks: account, then its lots. Refuses: expires_in_past, idempotency_key_expired, idempotency_key_reused.
-- Callers: billing.give_period
create or replace function ledger.roll_over(
  owner_id uuid,
  unit text,
  pool text,
  cap bigint,
  expires_at timestamptz,
  idempotency_key text,
  caused_by text
)
  returns bigint
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_account record;
  v_lot record;
  v_new record;
  v_room bigint;
  v_part bigint;
  v_moved bigint := 0;
  v_sides text[] := '{}';
  v_lots uuid[] := '{}';
  v_amounts bigint[] := '{}';
begin
  v_account := ledger.lock_account(roll_over.owner_id, roll_over.unit);
  select roll_over.cap - coalesce(sum(l.available), 0) into v_room
    from ledger.lot l
   where l.owner_id = roll_over.owner_id and l.unit = roll_over.unit and not l.empty and l.pool = 'rollover';
  for v_lot in
    select l.id, l.available, l.payment_id from ledger.lot l
     where l.owner_id = roll_over.owner_id and l.unit = roll_over.unit and not l.empty and l.pool = roll_over.pool
     order by l.drain_order, l.expires_at, l.id
  loop
    v_part := least(v_lot.available, v_room);
    exit when v_part <= 0;
    v_room := v_room - v_part;
    v_moved := v_moved + v_part;
    update ledger.lot l
       set available = l.available - v_part, empty = (l.available = v_part), expired = l.expired + v_part
     where l.owner_id = roll_over.owner_id and l.unit = roll_over.unit and l.id = v_lot.id;
    update ledger.account a set available = a.available - v_part
     where a.owner_id = roll_over.owner_id and a.unit = roll_over.unit;
    -- What is available owes nothing, so that no debt is to be paid.
    v_new := ledger.add_lot(roll_over.owner_id, roll_over.unit, 'rollover', v_part, 0, roll_over.expires_at, v_lot.payment_id);
    v_sides := v_sides || '{available,expired,issued,available}'::text[];
    v_lots := v_lots || array[v_lot.id, v_lot.id, v_new.lot_id, v_new.lot_id];
    v_amounts := v_amounts || array[-v_part, v_part, -v_part, v_part];
  end loop;
  if v_moved > 0 then
    perform ledger.post(roll_over.owner_id, roll_over.unit, 'roll_over', v_moved, v_sides, v_lots, v_amounts,
      roll_over.idempotency_key, roll_over.caused_by);
  end if;
  return v_moved;
end
$$;
