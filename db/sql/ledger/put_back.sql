-- ledger.put_back: returns `amount` that had left a lot (by a hold or a spend) to where it came from.
-- Where it goes: a lot that is closed or has expired passes it on to `expired`; else it pays debt first, as a grant does,
--   and what is left is available in the lot again.
-- Locks: the caller holds the account's row; then the lot. The account's available and debt are moved here.
-- Callers: ledger.end_hold, ledger.reverse, ledger.give_again
create or replace function ledger.put_back(
  owner_id uuid,
  unit text,
  lot_id uuid,
  amount bigint,
  out available bigint,
  out debt_paid bigint,
  out expired bigint
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_lot record;
begin
  select l.expires_at, l.closed_at is not null or coalesce(l.expires_at <= ops.now(), false) as over into strict v_lot
    from ledger.lot l
   where l.owner_id = put_back.owner_id and l.unit = put_back.unit and l.id = put_back.lot_id
     for no key update;
  put_back.available := 0;
  put_back.debt_paid := 0;
  put_back.expired := 0;
  if v_lot.over then
    put_back.expired := put_back.amount;
    update ledger.lot l set expired = l.expired + put_back.amount
     where l.owner_id = put_back.owner_id and l.unit = put_back.unit and l.id = put_back.lot_id;
    return;
  end if;

  update ledger.account a
     set debt = a.debt - least(a.debt, put_back.amount),
         available = a.available + put_back.amount - least(a.debt, put_back.amount),
         next_expiry = case when a.debt < put_back.amount then least(a.next_expiry, v_lot.expires_at) else a.next_expiry end
   where a.owner_id = put_back.owner_id and a.unit = put_back.unit
  returning old.debt - new.debt, new.available - old.available into strict put_back.debt_paid, put_back.available;
  if put_back.available > 0 then
    update ledger.lot l set available = l.available + put_back.available, empty = false
     where l.owner_id = put_back.owner_id and l.unit = put_back.unit and l.id = put_back.lot_id;
  end if;
end
$$;
