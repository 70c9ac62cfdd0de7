-- ledger.refuse_used_key: this owner's key already stands on a transaction, so nothing may be done under it again.
-- Refuses: idempotency_key_expired when the stored answer is gone (35 days), else idempotency_key_reused; both with the
--   transaction's id, so that the client can look at what was done.
-- Callers: ledger.post
create or replace function ledger.refuse_used_key(owner_id uuid, idempotency_key text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_transaction record;
begin
  select t.id, t.created_at into strict v_transaction
    from ledger.transaction t
   where t.owner_id = refuse_used_key.owner_id and t.idempotency_key = refuse_used_key.idempotency_key;
  perform ops.refuse(
    case when v_transaction.created_at <= ops.now() - interval '35 days'
      then 'idempotency_key_expired' else 'idempotency_key_reused' end,
    jsonb_build_object('transaction_id', v_transaction.id));
end
$$;
