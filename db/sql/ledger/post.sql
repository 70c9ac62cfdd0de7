-- ledger.post: writes one transaction with its entries.
-- Guarantees: entries sum to zero (check transaction_balanced); (owner, idempotency key) once for ever.
-- Refuses: idempotency_key_expired, idempotency_key_reused.
-- Callers: every ledger routine but the hot path of spend and hold
create or replace function ledger.post(
  owner_id uuid,
  unit text,
  kind text,
  amount bigint,
  sides text[],
  lots uuid[],
  amounts bigint[],
  idempotency_key text,
  caused_by text,
  reason text default null,
  hold_id uuid default null,
  reverses uuid default null
)
  returns uuid
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid := uuidv7();
begin
  insert into ledger.transaction
    (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, reason, hold_id, reverses, caused_by, created_at)
  values
    (post.owner_id, post.unit, v_id, post.kind, post.amount, post.sides, post.lots, post.amounts, post.idempotency_key,
     post.reason, post.hold_id, post.reverses, post.caused_by, ops.now())
  on conflict on constraint transaction_key_once do nothing;
  if not found then
    perform ledger.refuse_used_key(post.owner_id, post.idempotency_key);
  end if;
  return v_id;
end
$$;
