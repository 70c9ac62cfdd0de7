-- ledger.spend: takes `amount` from an account, from its lots in drain order.
-- Guarantees: all of it or nothing; never below zero, whatever runs at once: the guard stands on the account's row and is
--   checked again after a lock wait (A2, A12). What has expired is not spendable, swept or not. `drawn` names the pools.
--   Under a key that an item of a batch spent the same amount under, it answers what that item did, and takes nothing.
-- Locks: account, then its lots. Refuses: insufficient_credits (with available), idempotency_key_expired,
--   idempotency_key_reused.
-- This is the hot path, four statements where one lot is enough; so it draws from the lots and reckons the balance by itself.
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
  v_ids uuid[];
  v_place integer := 0;
  v_part bigint;
  v_rest bigint := spend.amount;
  v_sides text[] := '{}';
  v_lots uuid[] := '{}';
  v_amounts bigint[] := '{}';
begin
  update ledger.account a set available = a.available - spend.amount
   where a.owner_id = spend.owner_id and a.unit = spend.unit and a.available >= spend.amount
     and (a.next_expiry is null or a.next_expiry > ops.now())
  returning a.available, a.held, a.debt into spend.available, spend.held, spend.debt;
  if not found then
    -- Too little, or something has expired: lock the row, make it exact, and try once more.
    v_account := ledger.lock_account(spend.owner_id, spend.unit);
    update ledger.account a set available = a.available - spend.amount
     where a.owner_id = spend.owner_id and a.unit = spend.unit and a.available >= spend.amount
    returning a.available, a.held, a.debt into spend.available, spend.held, spend.debt;
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

  -- The account's row is locked, so this later statement reads lots that nobody can change meanwhile.
  select array_agg(l.id), array_agg(l.pool::text), array_agg(l.available::bigint), array_agg(l.expires_at)
    into v_ids, spend.pools, spend.pool_available, spend.pool_expires_at
    from (
      select l.id, l.pool, l.available, l.expires_at
        from ledger.lot l
       where l.owner_id = spend.owner_id and l.unit = spend.unit and not l.empty
       order by l.drain_order, l.expires_at, l.id
    ) l;
  while v_rest > 0 loop
    v_place := v_place + 1;
    v_part := least(v_rest, spend.pool_available[v_place]);
    update ledger.lot l set available = l.available - v_part, empty = (l.available = v_part)
     where l.owner_id = spend.owner_id and l.unit = spend.unit and l.id = v_ids[v_place];
    if not found then
      raise exception using errcode = 'TG004',
        message = format('the lots of %s in %s lack %s', spend.owner_id, spend.unit, v_rest);
    end if;
    v_rest := v_rest - v_part;
    v_sides := v_sides || '{available,spent}'::text[];
    v_lots := v_lots || array[v_ids[v_place], v_ids[v_place]];
    v_amounts := v_amounts || array[-v_part, v_part];
    spend.drawn_pools := spend.drawn_pools || spend.pools[v_place];
    spend.drawn_amounts := spend.drawn_amounts || v_part;
  end loop;

  insert into ledger.transaction
    (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, reason, caused_by, created_at)
  values
    (spend.owner_id, spend.unit, uuidv7(), 'spend', spend.amount, v_sides, v_lots, v_amounts, spend.idempotency_key,
     spend.reason, spend.caused_by, ops.now())
  on conflict on constraint transaction_key_once do nothing
  returning id into spend.transaction_id;
  if spend.transaction_id is null then
    -- A batch's item was here first: put everything back, and answer as it did.
    update ledger.lot l set available = l.available + d.amount, empty = false
      from unnest(v_ids[:v_place], spend.drawn_amounts) d(lot_id, amount)
     where l.owner_id = spend.owner_id and l.unit = spend.unit and l.id = d.lot_id;
    update ledger.account a set available = a.available + spend.amount
     where a.owner_id = spend.owner_id and a.unit = spend.unit;
    select s.* into spend.transaction_id, spend.drawn_pools, spend.drawn_amounts, spend.available, spend.held,
        spend.debt, spend.pools, spend.pool_available, spend.pool_expires_at
      from ledger.spent_before(spend.owner_id, spend.unit, spend.amount, spend.idempotency_key) s;
    return;
  end if;

  -- What the lots have left: those that were used up are in front.
  if spend.pool_available[v_place] = v_part then
    v_place := v_place + 1;
  else
    spend.pool_available[v_place] := spend.pool_available[v_place] - v_part;
  end if;
  if v_place > 1 then
    spend.pools := spend.pools[v_place:];
    spend.pool_available := spend.pool_available[v_place:];
    spend.pool_expires_at := spend.pool_expires_at[v_place:];
  end if;
end
$$;
