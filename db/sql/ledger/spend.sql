-- ledger.spend: takes `amount` from an account, from its lots in drain order.
-- Guarantees: all of it or nothing; never below zero, whatever runs at once: the guard stands on the account's row and is
--   checked again after a lock wait (A2, A12). What has expired is not spendable, swept or not. `drawn` names the pools.
--   Under a key that an item of a batch spent the same amount under, it answers what that item did, and takes nothing.
-- Locks: account, then its lots. Refuses: insufficient_credits (with available), idempotency_key_expired,
--   idempotency_key_reused.
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
  v_enough boolean;
  v_first record;
  v_taken record;
  v_balance record;
begin
  update ledger.account a set available = a.available - spend.amount
   where a.owner_id = spend.owner_id and a.unit = spend.unit and a.available >= spend.amount
     and (a.next_expiry is null or a.next_expiry > ops.now());
  v_enough := found;
  if not v_enough then
    -- Too little, or something has expired: lock the row, make it exact, and try once more.
    v_balance := ledger.lock_account(spend.owner_id, spend.unit);
    update ledger.account a set available = a.available - spend.amount
     where a.owner_id = spend.owner_id and a.unit = spend.unit and a.available >= spend.amount;
    v_enough := found;
  end if;

  -- Under the account's lock: a batch that spends under this key has committed or has not begun.
  select t.id, t.unit, t.kind, t.amount, t.created_at > ops.now() - interval '35 days' as recent into v_first
    from ledger.transaction t
   where t.owner_id = spend.owner_id and t.idempotency_key = spend.idempotency_key;
  if found then
    if not v_first.recent or v_first.kind <> 'spend' or v_first.unit <> spend.unit or v_first.amount <> spend.amount then
      perform ledger.refuse_used_key(spend.owner_id, spend.idempotency_key);
    end if;
    if v_enough then
      update ledger.account a set available = a.available + spend.amount
       where a.owner_id = spend.owner_id and a.unit = spend.unit;
    end if;
    spend.transaction_id := v_first.id;
    v_taken := ledger.drawn_by(spend.owner_id, spend.unit, v_first.id);
  elsif v_enough then
    v_taken := ledger.take(spend.owner_id, spend.unit, spend.amount);
    spend.transaction_id := ledger.post_spend(spend.owner_id, spend.unit, v_taken.lots, v_taken.amounts, spend.amount,
      spend.reason, spend.idempotency_key, spend.caused_by);
  else
    perform ops.refuse('insufficient_credits', jsonb_build_object('available', v_balance.available));
  end if;
  spend.drawn_pools := v_taken.pools;
  spend.drawn_amounts := v_taken.amounts;

  v_balance := ledger.balance_of(spend.owner_id, spend.unit);
  spend.available := v_balance.available;
  spend.held := v_balance.held;
  spend.debt := v_balance.debt;
  spend.pools := v_balance.pools;
  spend.pool_available := v_balance.pool_available;
  spend.pool_expires_at := v_balance.pool_expires_at;
end
$$;
