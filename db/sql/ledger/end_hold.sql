-- ledger.end_hold: ends a hold: `settle_amount` of it is spent, from the front of its lots; the rest returns.
-- Guarantees: exactly once: one guarded UPDATE from 'held' decides; the reason for a refusal is read only afterwards (C1).
--   A hold past its expiry can still be ended by anyone, until someone has.
-- Locks: hold, then account, then lots. Refuses: not_found, hold_ended (with state), amount_exceeds_hold (with amount),
--   idempotency_key_expired, idempotency_key_reused.
-- Callers: ledger.settle, ledger.release, ledger.expire_hold
create or replace function ledger.end_hold(
  owner_id uuid,
  hold_id uuid,
  unit text,
  to_state text,
  settle_amount bigint,
  kind text,
  idempotency_key text,
  caused_by text,
  out settled bigint,
  out released bigint,
  out transaction_id uuid
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_hold record;
  v_back record;
  v_settle bigint;
  v_rest bigint;
  v_sides text[] := '{}';
  v_lots uuid[] := '{}';
  v_amounts bigint[] := '{}';
begin
  update ledger.hold h
     set state = end_hold.to_state, settled = coalesce(end_hold.settle_amount, h.amount), ended_at = ops.now(),
         parked_until = null
   where h.owner_id = end_hold.owner_id and h.id = end_hold.hold_id and h.unit = end_hold.unit and h.state = 'held'
     and coalesce(end_hold.settle_amount, h.amount) <= h.amount
  returning h.amount, h.settled, h.lots, h.lot_amounts, old.parked_until is not null as parked into v_hold;
  if not found then
    select h.state, h.amount into v_hold
      from ledger.hold h
     where h.owner_id = end_hold.owner_id and h.id = end_hold.hold_id and h.unit = end_hold.unit;
    if not found then
      perform ops.refuse('not_found');
    elsif v_hold.state <> 'held' then
      -- Ended under this very key, whose stored answer has gone: the late duplicate must hear that, and not of a stranger.
      if exists (
        select from ledger.transaction t
         where t.owner_id = end_hold.owner_id and t.idempotency_key = end_hold.idempotency_key
      ) then
        perform ledger.refuse_used_key(end_hold.owner_id, end_hold.idempotency_key);
      end if;
      perform ops.refuse('hold_ended', jsonb_build_object('state', v_hold.state));
    end if;
    perform ops.refuse('amount_exceeds_hold', jsonb_build_object('amount', v_hold.amount));
  end if;
  end_hold.settled := v_hold.settled;
  end_hold.released := v_hold.amount - v_hold.settled;

  perform ledger.lock_account(end_hold.owner_id, end_hold.unit);
  update ledger.account a set held = a.held - v_hold.amount
   where a.owner_id = end_hold.owner_id and a.unit = end_hold.unit;

  v_rest := end_hold.settled;
  for i in 1 .. cardinality(v_hold.lots) loop
    v_settle := least(v_rest, v_hold.lot_amounts[i]);
    v_rest := v_rest - v_settle;
    v_sides := v_sides || 'held'::text; v_lots := v_lots || v_hold.lots[i]; v_amounts := v_amounts || -v_hold.lot_amounts[i];
    if v_settle > 0 then
      v_sides := v_sides || 'spent'::text; v_lots := v_lots || v_hold.lots[i]; v_amounts := v_amounts || v_settle;
    end if;
    if v_settle < v_hold.lot_amounts[i] then
      v_back := ledger.put_back(end_hold.owner_id, end_hold.unit, v_hold.lots[i], v_hold.lot_amounts[i] - v_settle);
      v_sides := v_sides || v_back.sides; v_lots := v_lots || v_back.lots; v_amounts := v_amounts || v_back.amounts;
    end if;
  end loop;
  end_hold.transaction_id := ledger.post(end_hold.owner_id, end_hold.unit, end_hold.kind,
    case end_hold.kind when 'settle' then end_hold.settled else end_hold.released end,
    v_sides, v_lots, v_amounts, end_hold.idempotency_key, end_hold.caused_by, null, end_hold.hold_id);
  if v_hold.parked then
    perform ops.unpark('holds_expire', end_hold.hold_id::text);
  end if;
end
$$;
