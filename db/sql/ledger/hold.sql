-- ledger.hold: takes `amount` out of an account's lots until it is settled, released or expires.
-- Guarantees: as ledger.spend: all of it or nothing, never below zero. It ends exactly once (lifecycle ledger.hold).
-- Locks: account, then its lots. Refuses: insufficient_credits (with available), idempotency_key_expired,
--   idempotency_key_reused.
-- Callers: worker, payments.hold_redemption
create or replace function ledger.hold(
  owner_id uuid,
  unit text,
  inout amount bigint,
  expires_in interval,
  reason text,
  idempotency_key text,
  caused_by text,
  out id uuid,
  out state text,
  out expires_at timestamptz,
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
  v_taken record;
  v_now timestamptz;
  v_count integer;
  v_low bigint;
begin
  update ledger.account a set available = a.available - hold.amount, held = a.held + hold.amount
   where a.owner_id = hold.owner_id and a.unit = hold.unit and a.available >= hold.amount
     and (a.next_expiry is null or a.next_expiry > ops.now())
  returning a.available, a.held, a.debt, a.low_at into hold.available, hold.held, hold.debt, v_low;
  if not found then
    v_account := ledger.lock_account(hold.owner_id, hold.unit);
    update ledger.account a set available = a.available - hold.amount, held = a.held + hold.amount
     where a.owner_id = hold.owner_id and a.unit = hold.unit and a.available >= hold.amount
    returning a.available, a.held, a.debt, a.low_at into hold.available, hold.held, hold.debt, v_low;
    if not found then
      perform ops.refuse('insufficient_credits', jsonb_build_object('available', v_account.available));
    end if;
  end if;

  if hold.available < v_low and hold.available + hold.amount >= v_low then
    perform ledger.note_fall(hold.owner_id, hold.unit, hold.available + hold.amount);
  end if;

  v_taken := ledger.take(hold.owner_id, hold.unit, hold.amount);
  v_count := cardinality(v_taken.lots);
  v_now := ops.now();
  hold.id := uuidv7();
  hold.state := 'held';
  hold.expires_at := v_now + hold.expires_in;
  insert into ledger.hold as h
    (owner_id, id, unit, state, amount, lots, lot_amounts, reason, expires_at, created_at)
  values
    (hold.owner_id, hold.id, hold.unit, hold.state, hold.amount, v_taken.lots, v_taken.amounts, hold.reason,
     hold.expires_at, v_now);
  perform ledger.post(hold.owner_id, hold.unit, 'hold', hold.amount,
    array_fill('available'::text, array[v_count]) || 'held'::text,
    v_taken.lots || null::uuid,
    (select array_agg(-t.amount order by t.position) from unnest(v_taken.amounts) with ordinality t(amount, position))
      || hold.amount,
    hold.idempotency_key, hold.caused_by, hold.reason, hold.id);

  hold.pools := v_taken.pools;
  hold.pool_available := v_taken.pool_available;
  hold.pool_expires_at := v_taken.pool_expires_at;
end
$$;
