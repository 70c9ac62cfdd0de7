-- ledger.reverse: undoes one grant, spend, settlement or adjustment by a new transaction.
-- Guarantees: once per transaction, for ever: its key is made from what it undoes; an audit row in the same statement. What had
--   been spent returns where it came from (ledger.put_back); what had been given is recovered (ledger.recover).
-- Locks: account, then lots. Refuses: not_found, transaction_not_reversible (with its kind), transaction_reversed.
-- Callers: worker
create or replace function ledger.reverse(
  owner_id uuid,
  unit text,
  inout transaction_id uuid,
  reason text,
  caused_by text,
  out reversed uuid,
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
  v_transaction record;
  v_back record;
  v_moved record;
  v_amount bigint;
  v_sides text[] := '{}';
  v_lots uuid[] := '{}';
  v_amounts bigint[] := '{}';
begin
  reverse.reversed := reverse.transaction_id;
  select t.kind, t.amount, t.sides, t.lots, t.amounts into v_transaction
    from ledger.transaction t
   where t.owner_id = reverse.owner_id and t.unit = reverse.unit and t.id = reverse.reversed;
  if not found then
    perform ops.refuse('not_found');
  elsif v_transaction.kind not in ('grant', 'spend', 'settle', 'adjust') then
    perform ops.refuse('transaction_not_reversible', jsonb_build_object('kind', v_transaction.kind));
  end if;
  perform ledger.lock_account(reverse.owner_id, reverse.unit);
  if exists (
    select from ledger.transaction t
     where t.owner_id = reverse.owner_id and t.idempotency_key = 'tg:reverse:' || reverse.reversed
  ) then
    perform ops.refuse('transaction_reversed');
  end if;

  for i in 1 .. cardinality(v_transaction.sides) loop
    continue when v_transaction.sides[i] not in ('spent', 'issued', 'adjusted');
    v_amount := v_transaction.amounts[i];
    if v_amount > 0 then
      v_back := ledger.put_back(reverse.owner_id, reverse.unit, v_transaction.lots[i], v_amount);
      v_sides := v_sides || v_transaction.sides[i] || v_back.sides;
      v_lots := v_lots || v_transaction.lots[i] || v_back.lots;
      v_amounts := v_amounts || -v_amount || v_back.amounts;
    else
      -- What was reversed is no longer the payment's: a later refund must not take it twice, nor a dispute won give it again.
      update ledger.lot l set payment_id = null
       where l.owner_id = reverse.owner_id and l.unit = reverse.unit and l.id = v_transaction.lots[i];
      v_moved := ledger.recover(reverse.owner_id, reverse.unit, v_transaction.lots[i], -v_amount);
      continue when v_moved.taken = 0;
      v_sides := v_sides || v_moved.sides || v_transaction.sides[i];
      v_lots := v_lots || v_moved.lots || v_transaction.lots[i];
      v_amounts := v_amounts || v_moved.amounts || v_moved.taken;
    end if;
  end loop;

  reverse.transaction_id := ledger.post(reverse.owner_id, reverse.unit, 'reverse', v_transaction.amount, v_sides, v_lots,
    v_amounts, 'tg:reverse:' || reverse.reversed, reverse.caused_by, reverse.reason, null, reverse.reversed);
  perform ops.record_change(
    workspace_id => reverse.owner_id, actor => reverse.caused_by, action => 'ledger.reverse',
    subject => 'transaction:' || reverse.reversed,
    detail => jsonb_build_object('reason', reverse.reason, 'transaction_id', reverse.transaction_id));

  select b.* into reverse.available, reverse.held, reverse.debt, reverse.pools, reverse.pool_available,
      reverse.pool_expires_at
    from ledger.balance_of(reverse.owner_id, reverse.unit) b;
end
$$;
