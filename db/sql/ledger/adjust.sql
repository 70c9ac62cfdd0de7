-- ledger.adjust: an operator's correction: `amount` above zero gives (pool `adjustment`), below zero takes.
-- Guarantees: an audit row with the reason in the same statement; never below zero, and never debt.
-- Locks: account, then lots. Refuses: insufficient_credits (with available), reason_required,
--   idempotency_key_expired, idempotency_key_reused.
-- Callers: worker
create or replace function ledger.adjust(
  owner_id uuid,
  unit text,
  inout amount bigint,
  reason text,
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
  v_taken record;
  v_sides text[] := '{}';
  v_lots uuid[] := '{}';
  v_amounts bigint[] := '{}';
begin
  if coalesce(adjust.reason, '') = '' then
    perform ops.refuse('reason_required');
  end if;
  v_account := ledger.lock_account(adjust.owner_id, adjust.unit);
  if adjust.amount > 0 then
    v_lot := ledger.add_lot(adjust.owner_id, adjust.unit, 'adjustment', adjust.amount, v_account.debt, null, null);
    v_sides := array['adjusted']; v_lots := array[v_lot.lot_id]; v_amounts := array[-adjust.amount];
    if v_lot.available > 0 then
      v_sides := v_sides || 'available'::text; v_lots := v_lots || v_lot.lot_id; v_amounts := v_amounts || v_lot.available;
    end if;
    if v_lot.debt_paid > 0 then
      v_sides := v_sides || 'debt'::text; v_lots := v_lots || v_lot.lot_id; v_amounts := v_amounts || v_lot.debt_paid;
    end if;
  else
    update ledger.account a set available = a.available + adjust.amount
     where a.owner_id = adjust.owner_id and a.unit = adjust.unit and a.available + adjust.amount >= 0;
    if not found then
      perform ops.refuse('insufficient_credits', jsonb_build_object('available', v_account.available));
    end if;
    perform ledger.note_fall(adjust.owner_id, adjust.unit, v_account.available);
    v_taken := ledger.take(adjust.owner_id, adjust.unit, -adjust.amount);
    for i in 1 .. cardinality(v_taken.lots) loop
      v_sides := v_sides || '{available,adjusted}'::text[];
      v_lots := v_lots || array[v_taken.lots[i], v_taken.lots[i]];
      v_amounts := v_amounts || array[-v_taken.amounts[i], v_taken.amounts[i]];
    end loop;
  end if;
  adjust.transaction_id := ledger.post(adjust.owner_id, adjust.unit, 'adjust', abs(adjust.amount), v_sides, v_lots,
    v_amounts, adjust.idempotency_key, adjust.caused_by, adjust.reason);
  perform ops.record_change(
    workspace_id => adjust.owner_id, actor => adjust.caused_by, action => 'ledger.adjust',
    subject => 'transaction:' || adjust.transaction_id,
    detail => jsonb_build_object('amount', adjust.amount, 'unit', adjust.unit, 'reason', adjust.reason));

  select b.* into adjust.available, adjust.held, adjust.debt, adjust.pools, adjust.pool_available, adjust.pool_expires_at
    from ledger.balance_of(adjust.owner_id, adjust.unit) b;
end
$$;
