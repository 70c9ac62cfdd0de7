-- ledger.put_back: returns `amount` that had left a lot (by a hold or a spend) to where it came from.
-- Where it goes: what the lot still lacks, to the lot: one that is closed or has expired passes it on to `expired`; else it
--   pays debt first, as a grant does, and what is left is available in the lot again. What the lot does not lack, because a
--   refund has meanwhile taken it from elsewhere, to ledger.compensate. So a return and a refund end the same in any order.
-- Locks: the caller holds the account's row; then the lot. The account's available and debt are moved here. Returns the
--   entries without the far side. Refuses: balance_limit_exceeded.
-- Callers: ledger.end_hold, ledger.reverse, ledger.give_again
create or replace function ledger.put_back(
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
  v_lot record;
  v_own bigint;
  v_other record;
  v_debt_paid bigint := 0;
  v_available bigint := 0;
  v_expired bigint := 0;
  v_total bigint;
begin
  put_back.sides := '{}';
  put_back.lots := '{}';
  put_back.amounts := '{}';
  select l.given - l.available - l.expired - l.recovered as lacking, l.expires_at,
         l.closed_at is not null or coalesce(l.expires_at <= ops.now(), false) as over
    into strict v_lot
    from ledger.lot l
   where l.owner_id = put_back.owner_id and l.unit = put_back.unit and l.id = put_back.lot_id
     for no key update;
  v_own := least(put_back.amount, v_lot.lacking);

  if v_own < put_back.amount then
    v_other := ledger.compensate(put_back.owner_id, put_back.unit, put_back.lot_id, put_back.amount - v_own);
    put_back.sides := v_other.sides;
    put_back.lots := v_other.lots;
    put_back.amounts := v_other.amounts;
  end if;
  if v_lot.over then
    v_expired := v_own;
  elsif v_own > 0 then
    update ledger.account a
       set debt = a.debt - least(a.debt, v_own),
           available = a.available + v_own - least(a.debt, v_own),
           next_expiry = case when a.debt < v_own then least(a.next_expiry, v_lot.expires_at) else a.next_expiry end
     where a.owner_id = put_back.owner_id and a.unit = put_back.unit
    returning old.debt - new.debt, new.available - old.available, new.available + new.held
      into strict v_debt_paid, v_available, v_total;
    if v_total > 9007199254740991 then
      perform ops.refuse('balance_limit_exceeded');
    end if;
  end if;
  update ledger.lot l
     set available = l.available + v_available, empty = (l.available + v_available = 0), expired = l.expired + v_expired,
         covered = l.covered - least(l.covered, put_back.amount - v_own)
   where l.owner_id = put_back.owner_id and l.unit = put_back.unit and l.id = put_back.lot_id;

  if v_available > 0 then
    put_back.sides := put_back.sides || 'available'::text;
    put_back.lots := put_back.lots || put_back.lot_id;
    put_back.amounts := put_back.amounts || v_available;
  end if;
  if v_debt_paid > 0 then
    put_back.sides := put_back.sides || 'debt'::text;
    put_back.lots := put_back.lots || put_back.lot_id;
    put_back.amounts := put_back.amounts || v_debt_paid;
  end if;
  if v_expired > 0 then
    put_back.sides := put_back.sides || 'expired'::text;
    put_back.lots := put_back.lots || put_back.lot_id;
    put_back.amounts := put_back.amounts || v_expired;
  end if;
end
$$;
