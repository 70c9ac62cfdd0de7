-- ledger.post_spend: the transaction of a spend: per lot, what left `available` and arrived at `spent`.
-- Locks: the caller holds the account's row and knows that the key is free in this unit.
-- Refuses: constraint transaction_key_once (the key was used at the same moment in another unit).
-- Callers: ledger.spend_many
create or replace function ledger.post_spend(
  owner_id uuid,
  unit text,
  lots uuid[],
  amounts bigint[],
  amount bigint,
  reason text,
  idempotency_key text,
  caused_by text
)
  returns uuid
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid := uuidv7();
  v_sides text[] := '{available,spent}';
  v_lots uuid[] := array[post_spend.lots[1], post_spend.lots[1]];
  v_amounts bigint[] := array[-post_spend.amounts[1], post_spend.amounts[1]];
begin
  for i in 2 .. cardinality(post_spend.lots) loop
    v_sides := v_sides || '{available,spent}'::text[];
    v_lots := v_lots || array[post_spend.lots[i], post_spend.lots[i]];
    v_amounts := v_amounts || array[-post_spend.amounts[i], post_spend.amounts[i]];
  end loop;
  insert into ledger.transaction
    (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, reason, caused_by, created_at)
  values
    (post_spend.owner_id, post_spend.unit, v_id, 'spend', post_spend.amount, v_sides, v_lots, v_amounts,
     post_spend.idempotency_key, post_spend.reason, post_spend.caused_by, ops.now());
  return v_id;
end
$$;
