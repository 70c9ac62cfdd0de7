-- ledger.spend_many: up to 1000 spends of one account in one statement, in the order given, each on its own: an item that
-- cannot be paid is refused alone (`codes`) and later, smaller ones may still pass.
-- Guarantees: per item as ledger.spend, whose keys the items share: an item whose key has spent the same amount before,
--   by an item or by a single spend, is `replayed` and takes nothing; another amount is refused.
-- Locks: the owner's batches (advisory), account, then its lots. Refuses (the whole call): nothing but a second use of one
--   key at the same moment, within it (the edge refuses that before) or in another unit (constraint transaction_key_once).
-- Callers: worker
create or replace function ledger.spend_many(
  owner_id uuid,
  unit text,
  inout keys text[],
  inout amounts bigint[],
  reasons text[],
  caused_by text,
  out outcomes text[],
  out codes text[],
  out transaction_ids uuid[],
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
  v_item record;
  v_taken record;
  v_left bigint;
  v_code text;
begin
  -- Batches of two units may name the same keys in opposite orders, and each key waits for whoever has just used it.
  perform pg_advisory_xact_lock(hashtextextended(spend_many.owner_id || 'tg:spend_many', 0));
  v_account := ledger.lock_account(spend_many.owner_id, spend_many.unit);
  v_left := v_account.available;

  -- Read after the lock, in one go: a key is free or used for good from here on.
  for v_item in
    select i.key, i.amount, i.reason, t.id as transaction_id,
           t.kind = 'spend' and t.unit = spend_many.unit and t.amount = i.amount as same,
           t.created_at > ops.now() - interval '35 days' as recent
      from unnest(spend_many.keys, spend_many.amounts, spend_many.reasons) with ordinality i(key, amount, reason, position)
      -- LIMIT, so that it is looked up key by key: a join of the two might read all that the owner ever did.
      left join lateral (
        select t.id, t.kind, t.unit, t.amount, t.created_at from ledger.transaction t
         where t.owner_id = spend_many.owner_id and t.idempotency_key = i.key
         limit 1) t on true
     order by i.position
  loop
    v_code := null;
    if v_item.transaction_id is null then
      if v_item.amount > v_left then
        v_code := 'insufficient_credits';
      else
        v_taken := ledger.take(spend_many.owner_id, spend_many.unit, v_item.amount, reckon_left => false);
        v_item.transaction_id := ledger.post_spend(spend_many.owner_id, spend_many.unit, v_taken.lots, v_taken.amounts,
          v_item.amount, v_item.reason, v_item.key, spend_many.caused_by);
        v_left := v_left - v_item.amount;
        spend_many.outcomes := spend_many.outcomes || 'spent'::text;
      end if;
    elsif not v_item.recent then
      v_code := 'idempotency_key_expired';
    elsif not v_item.same then
      v_code := 'idempotency_key_reused';
    else
      spend_many.outcomes := spend_many.outcomes || 'replayed'::text;
    end if;
    if v_code is not null then
      spend_many.outcomes := spend_many.outcomes || 'refused'::text;
    end if;
    spend_many.codes := spend_many.codes || v_code;
    spend_many.transaction_ids := spend_many.transaction_ids || case when v_code is null then v_item.transaction_id end;
  end loop;

  update ledger.account a set available = v_left
   where a.owner_id = spend_many.owner_id and a.unit = spend_many.unit;

  select b.* into spend_many.available, spend_many.held, spend_many.debt, spend_many.pools, spend_many.pool_available,
      spend_many.pool_expires_at
    from ledger.balance_of(spend_many.owner_id, spend_many.unit) b;
end
$$;
