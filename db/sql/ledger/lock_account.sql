-- ledger.lock_account: the account's row, locked, made if it is not there, and exact: what has expired is out of it.
-- Guarantees: after it, available equals what may be spent now, whether or not a sweep ever ran.
-- Locks: the account's row; lots only after it.
-- Callers: every ledger routine but the hot path of spend and hold
create or replace function ledger.lock_account(
  owner_id uuid,
  unit text,
  out available bigint,
  out held bigint,
  out debt bigint
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_next timestamptz;
begin
  select a.available, a.held, a.debt, a.next_expiry
    into lock_account.available, lock_account.held, lock_account.debt, v_next
    from ledger.account a
   where a.owner_id = lock_account.owner_id and a.unit = lock_account.unit
     for no key update;
  if not found then
    insert into ledger.account (owner_id, unit, created_at)
    values (lock_account.owner_id, lock_account.unit, ops.now())
    on conflict do nothing;
    select a.available, a.held, a.debt, a.next_expiry
      into strict lock_account.available, lock_account.held, lock_account.debt, v_next
      from ledger.account a
     where a.owner_id = lock_account.owner_id and a.unit = lock_account.unit
       for no key update;
  end if;
  -- After the lock: time has moved while it waited.
  if v_next <= ops.now() then
    lock_account.available := ledger.expire_due(lock_account.owner_id, lock_account.unit);
  end if;
end
$$;
