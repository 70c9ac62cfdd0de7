-- ledger.lots_expire: closes what has expired in up to `batch` accounts. Balances are right without it (ledger.lock_account,
-- ledger.balance_of); it keeps the ledger's rows up to date.
-- Guarantees and failures: as ledger.holds_expire. Locks: accounts (never waiting), then lots.
-- Callers: worker (sweep lots_expire)
create or replace function ledger.lots_expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_due record;
  v_account record;
  v_state text;
  v_error text;
begin
  with due as materialized (
    select a.owner_id, a.unit
      from ledger.account a
     where a.next_expiry <= (select ops.now())
       and (a.parked_until is null or a.parked_until <= (select ops.now()))
     order by a.next_expiry, a.owner_id, a.unit
     limit lots_expire.batch
       for no key update skip locked
  )
  select count(*)::integer as count,
         array_agg(d.owner_id order by d.owner_id, d.unit) as owners,
         array_agg(d.unit order by d.owner_id, d.unit) as units
    into v_due
    from due d;
  lots_expire.processed := 0;
  lots_expire.failed := 0;
  lots_expire.more := v_due.count = lots_expire.batch;

  begin
    for v_account in
      select d.* from unnest(v_due.owners, v_due.units) d(owner_id, unit)
    loop
      perform ledger.expire_due(v_account.owner_id, v_account.unit);
    end loop;
    lots_expire.processed := v_due.count;
    return;
  exception when others then
    if ops.is_passing(sqlstate) then
      raise;
    end if;
  end;

  for v_account in
    select d.* from unnest(v_due.owners, v_due.units) d(owner_id, unit)
  loop
    begin
      perform ledger.expire_due(v_account.owner_id, v_account.unit);
      lots_expire.processed := lots_expire.processed + 1;
    exception when others then
      if ops.is_passing(sqlstate) then
        raise;
      end if;
      get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
      update ledger.account a
         set parked_until = ops.park('lots_expire', v_account.owner_id || ':' || v_account.unit, v_state, v_error)
       where a.owner_id = v_account.owner_id and a.unit = v_account.unit;
      lots_expire.failed := lots_expire.failed + 1;
    end;
  end loop;
end
$$;
