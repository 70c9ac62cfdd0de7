-- ledger.spent_before: what was spent under this key before (by an item of a batch), with the balance as it is now.
-- Answers a null `transaction_id` where the key is new. Locks: the caller holds the account's row.
-- Refuses: idempotency_key_expired after 35 days; idempotency_key_reused where it was not a spend of this amount.
-- Callers: ledger.spend
create or replace function ledger.spent_before(
  owner_id uuid,
  unit text,
  amount bigint,
  idempotency_key text,
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
  v_same boolean;
begin
  select t.id, t.kind = 'spend' and t.unit = spent_before.unit and t.amount = spent_before.amount
      and t.created_at > ops.now() - interval '35 days'
    into spent_before.transaction_id, v_same
    from ledger.transaction t
   where t.owner_id = spent_before.owner_id and t.idempotency_key = spent_before.idempotency_key;
  if not found then
    return;
  elsif not v_same then
    perform ledger.refuse_used_key(spent_before.owner_id, spent_before.idempotency_key);
  end if;
  select array_agg(l.pool::text order by e.position), array_agg(-e.amount order by e.position)
    into spent_before.drawn_pools, spent_before.drawn_amounts
    from ledger.transaction t
   cross join lateral unnest(t.sides, t.lots, t.amounts) with ordinality e(side, lot_id, amount, position)
    join ledger.lot l on l.owner_id = t.owner_id and l.unit = t.unit and l.id = e.lot_id
   where t.owner_id = spent_before.owner_id and t.unit = spent_before.unit and t.id = spent_before.transaction_id
     and e.side = 'available';
  select b.* into spent_before.available, spent_before.held, spent_before.debt, spent_before.pools,
      spent_before.pool_available, spent_before.pool_expires_at
    from ledger.balance_of(spent_before.owner_id, spent_before.unit) b;
end
$$;
