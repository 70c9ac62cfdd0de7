-- ledger.spend: takes `amount` from an account, from its lots in drain order.
-- Guarantees: all of it or nothing; never below zero, whatever runs at once: the guard stands on the account's row and is
--   checked again after a lock wait (A2, A12). What has expired is not spendable, swept or not. `drawn` names the pools.
--   Under a key that an item of a batch spent the same amount under, it answers what that item did, and takes nothing.
-- Locks: account, then its lots. Refuses: insufficient_credits (with available), idempotency_key_expired,
--   idempotency_key_reused.
-- This is the hot path: three statements where one lot is enough, and a fourth where other lots must be shown.
-- Callers: worker
create or replace function ledger.spend(
  owner_id uuid,
  unit text,
  inout amount bigint,
  reason text,
  idempotency_key text,
  caused_by text,
  out transaction_id uuid,
  out drawn_pools text[],
  out drawn_amounts bigint[],
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
  v_lot uuid;
  v_rest bigint;
  v_low bigint;
  v_sides text[];
  v_lots uuid[];
  v_amounts bigint[];
begin
  update ledger.account a set available = a.available - spend.amount
   where a.owner_id = spend.owner_id and a.unit = spend.unit and a.available >= spend.amount
     and (a.next_expiry is null or a.next_expiry > ops.now())
  returning a.available, a.held, a.debt, a.low_at into spend.available, spend.held, spend.debt, v_low;
  if not found then
    -- Too little, or something has expired: lock the row, make it exact, and try once more.
    v_account := ledger.lock_account(spend.owner_id, spend.unit);
    update ledger.account a set available = a.available - spend.amount
     where a.owner_id = spend.owner_id and a.unit = spend.unit and a.available >= spend.amount
    returning a.available, a.held, a.debt, a.low_at into spend.available, spend.held, spend.debt, v_low;
    if not found then
      select s.* into spend.transaction_id, spend.drawn_pools, spend.drawn_amounts, spend.available, spend.held,
          spend.debt, spend.pools, spend.pool_available, spend.pool_expires_at
        from ledger.spent_before(spend.owner_id, spend.unit, spend.amount, spend.idempotency_key) s;
      if spend.transaction_id is null then
        perform ops.refuse('insufficient_credits', jsonb_build_object('available', v_account.available));
      end if;
      return;
    end if;
  end if;

  if spend.available < v_low and spend.available + spend.amount >= v_low then
    perform ledger.note_fall(spend.owner_id, spend.unit, spend.available + spend.amount);
  end if;

  -- The account's row is locked, so nobody changes its lots meanwhile, nor their places (ctid). Mostly the first has enough.
  update ledger.lot t set available = t.available - spend.amount, empty = (t.available = spend.amount)
   where t.available >= spend.amount
     and t.ctid = (
       select l.ctid from ledger.lot l
        where l.owner_id = spend.owner_id and l.unit = spend.unit and not l.empty
        order by l.drain_order, l.expires_at, l.id
        limit 1)
  returning t.id, t.available, array[t.pool::text], array[spend.amount], array[t.available::bigint], array[t.expires_at]
       into v_lot, v_rest, spend.drawn_pools, spend.drawn_amounts, spend.pool_available, spend.pool_expires_at;
  if not found then
    v_taken := ledger.take(spend.owner_id, spend.unit, spend.amount);
    for i in 1 .. cardinality(v_taken.lots) loop
      v_sides := v_sides || '{available,spent}'::text[];
      v_lots := v_lots || array[v_taken.lots[i], v_taken.lots[i]];
      v_amounts := v_amounts || array[-v_taken.amounts[i], v_taken.amounts[i]];
    end loop;
    spend.drawn_pools := v_taken.drawn_pools;
    spend.drawn_amounts := v_taken.amounts;
    spend.pools := v_taken.pools;
    spend.pool_available := v_taken.pool_available;
    spend.pool_expires_at := v_taken.pool_expires_at;
  elsif v_rest = spend.available and v_rest > 0 then
    -- All that the account has left is in this lot: the others are empty, and need not be read.
    spend.pools := spend.drawn_pools;
  else
    select coalesce(array_agg(l.pool::text), '{}'), coalesce(array_agg(l.available::bigint), '{}'),
           coalesce(array_agg(l.expires_at), '{}')
      into spend.pools, spend.pool_available, spend.pool_expires_at
      from (
        select l.pool, l.available, l.expires_at
          from ledger.lot l
         where l.owner_id = spend.owner_id and l.unit = spend.unit and not l.empty
         order by l.drain_order, l.expires_at, l.id
      ) l;
  end if;

  insert into ledger.transaction
    (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, reason, caused_by, created_at)
  values
    (spend.owner_id, spend.unit, uuidv7(), 'spend', spend.amount, coalesce(v_sides, '{available,spent}'),
     coalesce(v_lots, array[v_lot, v_lot]), coalesce(v_amounts, array[-spend.amount, spend.amount]),
     spend.idempotency_key, spend.reason, spend.caused_by, ops.now())
  on conflict on constraint transaction_key_once do nothing
  returning id into spend.transaction_id;
  if spend.transaction_id is null then
    -- A batch's item was here first: put everything back, and answer as it did.
    update ledger.lot l set available = l.available - e.amount, empty = false
      from unnest(coalesce(v_lots, array[v_lot]), coalesce(v_amounts, array[-spend.amount])) e(lot_id, amount)
     where l.owner_id = spend.owner_id and l.unit = spend.unit and l.id = e.lot_id and e.amount < 0;
    update ledger.account a set available = a.available + spend.amount
     where a.owner_id = spend.owner_id and a.unit = spend.unit;
    select s.* into spend.transaction_id, spend.drawn_pools, spend.drawn_amounts, spend.available, spend.held,
        spend.debt, spend.pools, spend.pool_available, spend.pool_expires_at
      from ledger.spent_before(spend.owner_id, spend.unit, spend.amount, spend.idempotency_key) s;
  end if;
end
$$;
