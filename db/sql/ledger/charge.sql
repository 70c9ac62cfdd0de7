-- ledger.charge: takes `amount` from an account to a named side: what was paid from a balance goes to `revenue`.
-- Guarantees: as ledger.spend: all of it or nothing, never below zero. Locks: account, then its lots.
-- Refuses: insufficient_balance (with available, required and unit), idempotency_key_expired, idempotency_key_reused.
-- Callers: payments' and billing's routines
create or replace function ledger.charge(
  owner_id uuid,
  unit text,
  amount bigint,
  side text,
  reason text,
  idempotency_key text,
  caused_by text
)
  returns uuid
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_account record;
  v_taken record;
  v_sides text[] := '{}';
  v_lots uuid[] := '{}';
  v_amounts bigint[] := '{}';
begin
  v_account := ledger.lock_account(charge.owner_id, charge.unit);
  update ledger.account a set available = a.available - charge.amount
   where a.owner_id = charge.owner_id and a.unit = charge.unit and a.available >= charge.amount;
  if not found then
    perform ops.refuse('insufficient_balance', jsonb_build_object('available', v_account.available,
      'required', charge.amount, 'currency', charge.unit));
  end if;
  v_taken := ledger.take(charge.owner_id, charge.unit, charge.amount);
  for i in 1 .. cardinality(v_taken.lots) loop
    v_sides := v_sides || array['available', charge.side];
    v_lots := v_lots || array[v_taken.lots[i], v_taken.lots[i]];
    v_amounts := v_amounts || array[-v_taken.amounts[i], v_taken.amounts[i]];
  end loop;
  return ledger.post(charge.owner_id, charge.unit, 'charge', charge.amount, v_sides, v_lots, v_amounts,
    charge.idempotency_key, charge.caused_by, charge.reason);
end
$$;
