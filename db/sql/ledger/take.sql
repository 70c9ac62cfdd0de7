-- ledger.take: moves `amount` out of an account's lots, in drain order, and names the lots, so that a return finds them.
-- Guarantees: no lot below zero; all of the amount or an error. The account's own available is the caller's to move.
-- Locks: the caller holds the account's row and has taken the amount from it; then the lots.
-- Refuses: SQLSTATE TG004 when the lots hold less than the account says (a fault of ours).
-- Callers: ledger.spend, ledger.hold, ledger.recover, ledger.adjust
create or replace function ledger.take(
  owner_id uuid,
  unit text,
  amount bigint,
  out lots uuid[],
  out pools text[],
  out amounts bigint[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_lot record;
  v_part bigint;
  v_rest bigint := take.amount;
begin
  for v_lot in
    select l.id, l.pool, l.available from ledger.lot l
     where l.owner_id = take.owner_id and l.unit = take.unit and not l.empty
     order by l.drain_order, l.expires_at, l.id
  loop
    exit when v_rest = 0;
    v_part := least(v_rest, v_lot.available);
    update ledger.lot l
       set available = l.available - v_part, empty = (l.available = v_part)
     where l.owner_id = take.owner_id and l.unit = take.unit and l.id = v_lot.id;
    v_rest := v_rest - v_part;
    take.lots := take.lots || v_lot.id;
    take.pools := take.pools || v_lot.pool;
    take.amounts := take.amounts || v_part;
  end loop;
  if v_rest > 0 then
    raise exception using errcode = 'TG004',
      message = format('the lots of %s in %s lack %s', take.owner_id, take.unit, v_rest);
  end if;
end
$$;
