-- ledger.settle: spends a hold, all of it or up to its amount (`amount`, null: all); the rest returns to its lots.
-- Guarantees, locks, refusals: ledger.end_hold.
-- Callers: worker, payments.redeem
create or replace function ledger.settle(
  owner_id uuid,
  unit text,
  hold_id uuid,
  amount bigint,
  idempotency_key text,
  caused_by text,
  out id uuid,
  out state text,
  out settled bigint,
  out released bigint,
  out transaction_id uuid,
  out available bigint,
  out held bigint,
  out debt bigint,
  out pools text[],
  out pool_available bigint[],
  out pool_expires_at timestamptz[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  settle.id := settle.hold_id;
  settle.state := 'settled';
  select e.* into settle.settled, settle.released, settle.transaction_id
    from ledger.end_hold(settle.owner_id, settle.hold_id, settle.unit, settle.state, settle.amount, 'settle', settle.idempotency_key,
      settle.caused_by) e;
  select b.* into settle.available, settle.held, settle.debt, settle.pools, settle.pool_available, settle.pool_expires_at
    from ledger.balance_of(settle.owner_id, settle.unit) b;
end
$$;
