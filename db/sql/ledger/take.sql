-- ledger.take: moves `amount` out of an account's lots, in drain order, and names the lots, so that a return finds them.
-- Answers what was drawn, lot by lot, and what the lots have left (`pools` and its fellows, as ledger.balance_of), so that
--   a caller need not read them again.
-- Guarantees: no lot below zero; all of the amount or an error. The account's own available is the caller's to move.
-- Locks: the caller holds the account's row, exact (ledger.lock_account) and with the amount taken from it.
-- Refuses: SQLSTATE TG004 when the lots hold less than the account says (a fault of ours).
-- Callers: ledger.spend, ledger.hold, ledger.recover, ledger.adjust, ledger.set_limit
create or replace function ledger.take(
  owner_id uuid,
  unit text,
  amount bigint,
  out lots uuid[],
  out amounts bigint[],
  out drawn_pools text[],
  out pools text[],
  out pool_available bigint[],
  out pool_expires_at timestamptz[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_lot record;
  v_part bigint;
  v_rest bigint := take.amount;
begin
  take.pools := '{}';
  take.pool_available := '{}';
  take.pool_expires_at := '{}';
  for v_lot in
    select l.id, l.pool, l.available, l.expires_at from ledger.lot l
     where l.owner_id = take.owner_id and l.unit = take.unit and not l.empty
     order by l.drain_order, l.expires_at, l.id
  loop
    v_part := least(v_rest, v_lot.available);
    if v_part > 0 then
      update ledger.lot l
         set available = l.available - v_part, empty = (l.available = v_part)
       where l.owner_id = take.owner_id and l.unit = take.unit and l.id = v_lot.id;
      v_rest := v_rest - v_part;
      take.lots := take.lots || v_lot.id;
      take.amounts := take.amounts || v_part;
      take.drawn_pools := take.drawn_pools || v_lot.pool::text;
    end if;
    if v_lot.available > v_part then
      take.pools := take.pools || v_lot.pool::text;
      take.pool_available := take.pool_available || (v_lot.available - v_part);
      take.pool_expires_at := take.pool_expires_at || v_lot.expires_at;
    end if;
  end loop;
  if v_rest > 0 then
    raise exception using errcode = 'TG004',
      message = format('the lots of %s in %s lack %s', take.owner_id, take.unit, v_rest);
  end if;
end
$$;
