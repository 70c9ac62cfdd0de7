-- ledger.release: gives a hold back: everything returns to the lots it came from.
-- Guarantees, locks, refusals: ledger.end_hold.
-- Callers: worker, payments.release_redemption
create or replace function ledger.release(
  owner_id uuid,
  unit text,
  hold_id uuid,
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
  release.id := release.hold_id;
  release.state := 'released';
  select e.* into release.settled, release.released, release.transaction_id
    from ledger.end_hold(release.owner_id, release.hold_id, release.unit, release.state, 0, 'release', release.idempotency_key,
      release.caused_by) e;
  select b.* into release.available, release.held, release.debt, release.pools, release.pool_available, release.pool_expires_at
    from ledger.balance_of(release.owner_id, release.unit) b;
end
$$;
