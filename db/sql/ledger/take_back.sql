-- ledger.take_back: what one payment gave is taken back as far as it was refunded or lost (a refund, a dispute), and given
-- again as far as it no longer is (a dispute won).
-- The rule, per lot of that payment: target = floor(given × least(refunded + lost, paid) / paid), in numeric; the lot's
--   recovered amount is brought to the target (ledger.recover says where it comes from). `refunded`, `lost` and `paid` are
--   the payment's totals so far, in its minor units, read by the caller under the payment's lock: so partial refunds
--   accumulate, and any order and any repetition ends the same.
-- With `forgive` (the operator's policy `clamp`) only what is there is taken: what was spent or is held is forgiven, and stays
--   so whatever comes later. `shortfall` says what it lacked: what became debt, or was forgiven.
-- What is given again goes to those who paid for it: to debt and other lots as far as these did (ledger.compensate, also when
--   its lot is over), the rest to its lot, or to `expired` where that is over.
-- Locks: per unit in order, account, then lots. Refuses: idempotency_key_expired, idempotency_key_reused (a key is used once
--   per lot that moves). `taken` is negative when something was given again.
-- Callers: payments' routines
create or replace function ledger.take_back(
  owner_id uuid,
  payment_id uuid,
  refunded bigint,
  lost bigint,
  paid bigint,
  idempotency_key text,
  caused_by text,
  forgive boolean default false,
  out taken bigint,
  out shortfall bigint
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_unit text;
  v_account record;
  v_lot record;
  v_moved record;
  v_target bigint;
  v_again bigint;
begin
  take_back.taken := 0;
  take_back.shortfall := 0;
  for v_unit in
    select distinct l.unit from ledger.lot l
     where l.owner_id = take_back.owner_id and l.payment_id = take_back.payment_id
     order by l.unit
  loop
    perform ledger.lock_account(take_back.owner_id, v_unit);
    -- Only after the lock: another take-back of this payment has ended or waits.
    for v_lot in
      select l.id, l.given, l.recovered, l.forgiven from ledger.lot l
       where l.owner_id = take_back.owner_id and l.payment_id = take_back.payment_id and l.unit = v_unit
       order by l.id
    loop
      -- Of a payment of nothing, nothing can be refunded.
      v_target := coalesce(floor(v_lot.given::numeric
        * least(take_back.refunded::numeric + take_back.lost, take_back.paid) / nullif(take_back.paid, 0)), 0);
      -- What was forgiven was never taken, and is the last to be given again.
      v_target := v_target - least(v_target, v_lot.forgiven);
      if v_target > v_lot.recovered then
        v_moved := ledger.recover(take_back.owner_id, v_unit, v_lot.id, v_target - v_lot.recovered, take_back.forgive);
        take_back.shortfall := take_back.shortfall + v_moved.lacking;
        continue when v_moved.taken = 0;
        perform ledger.post(take_back.owner_id, v_unit, 'take_back', v_moved.taken,
          v_moved.sides || 'taken_back'::text, v_moved.lots || v_lot.id, v_moved.amounts || v_moved.taken,
          take_back.idempotency_key || ':' || v_lot.id, take_back.caused_by);
        take_back.taken := take_back.taken + v_moved.taken;
      elsif v_target < v_lot.recovered then
        v_again := v_lot.recovered - v_target;
        v_moved := ledger.give_again(take_back.owner_id, v_unit, v_lot.id, v_again);
        perform ledger.post(take_back.owner_id, v_unit, 'give_back', v_again,
          v_moved.sides || 'taken_back'::text, v_moved.lots || v_lot.id, v_moved.amounts || -v_again,
          take_back.idempotency_key || ':' || v_lot.id, take_back.caused_by);
        take_back.taken := take_back.taken - v_again;
      end if;
    end loop;
  end loop;
end
$$;
