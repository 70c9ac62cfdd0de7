-- ledger.expire_due: closes the lots of one account whose time has passed; what was left in them goes to `expired`.
-- Returns the account's available afterwards. Once per lot: its transaction is named after it. An account that the sweep had
-- parked is no longer, whoever came through here.
-- Locks: the caller holds the account's row.
-- Callers: ledger.lock_account, ledger.lots_expire, ledger.charge_many
create or replace function ledger.expire_due(owner_id uuid, unit text)
  returns bigint
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_lot record;
  v_now timestamptz := ops.now();
  v_expired bigint := 0;
  v_next timestamptz;
  v_account record;
begin
  -- In drain order, which is the order of the index of what is not empty.
  for v_lot in
    select l.id, l.available, l.expires_at from ledger.lot l
     where l.owner_id = expire_due.owner_id and l.unit = expire_due.unit and not l.empty
     order by l.drain_order, l.expires_at, l.id
  loop
    if v_lot.expires_at is null or v_lot.expires_at > v_now then
      v_next := least(v_next, v_lot.expires_at);
      continue;
    end if;
    update ledger.lot l
       set available = 0, empty = true, expired = l.expired + v_lot.available, closed_at = v_now
     where l.owner_id = expire_due.owner_id and l.unit = expire_due.unit and l.id = v_lot.id;
    insert into ledger.transaction
      (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, caused_by, created_at)
    values
      (expire_due.owner_id, expire_due.unit, uuidv7(), 'expire', v_lot.available,
       array['available', 'expired'], array[v_lot.id, v_lot.id], array[-v_lot.available, v_lot.available],
       'tg:expire:' || v_lot.id, 'expiry', v_now);
    v_expired := v_expired + v_lot.available;
  end loop;

  update ledger.account a
     set available = a.available - v_expired, next_expiry = v_next, parked_until = null
   where a.owner_id = expire_due.owner_id and a.unit = expire_due.unit
  returning a.available, old.parked_until is not null as parked into strict v_account;
  if v_account.parked then
    perform ops.unpark('lots_expire', expire_due.owner_id || ':' || expire_due.unit);
  end if;
  perform ledger.note_fall(expire_due.owner_id, expire_due.unit, v_account.available + v_expired);
  return v_account.available;
end
$$;
