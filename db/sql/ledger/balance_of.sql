-- ledger.balance_of: an account as answers show it: its amounts, and its lots that have something, in drain order:
--   `pools[i]` has `pool_available[i]` until `pool_expires_at[i]`. A pool stands there once for each of its lots.
-- Guarantees: right even if no sweep ran: a lot that has expired is not counted.
-- Callers: worker, every ledger routine that answers with the balance
create or replace function ledger.balance_of(
  owner_id uuid,
  unit text,
  out available bigint,
  out held bigint,
  out debt bigint,
  out pools text[],
  out pool_available bigint[],
  out pool_expires_at timestamptz[]
)
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select a.held, a.debt into balance_of.held, balance_of.debt
    from ledger.account a
   where a.owner_id = balance_of.owner_id and a.unit = balance_of.unit;
  balance_of.held := coalesce(balance_of.held, 0);
  balance_of.debt := coalesce(balance_of.debt, 0);
  select coalesce(sum(l.available), 0), coalesce(array_agg(l.pool::text), '{}'),
         coalesce(array_agg(l.available::bigint), '{}'), coalesce(array_agg(l.expires_at), '{}')
    into balance_of.available, balance_of.pools, balance_of.pool_available, balance_of.pool_expires_at
    from (
      select l.pool, l.available, l.expires_at
        from ledger.lot l
       where l.owner_id = balance_of.owner_id and l.unit = balance_of.unit and not l.empty
         and (l.expires_at is null or l.expires_at > (select ops.now()))
       order by l.drain_order, l.expires_at, l.id
    ) l;
end
$$;
