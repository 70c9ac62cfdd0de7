-- ledger.holds_expire: ends up to `batch` holds whose time has passed; what they held returns.
-- Guarantees: SKIP LOCKED: right at 0, 1 or many at once; run again at once it changes nothing. A batch that fails is
--   repeated hold by hold, and the bad one is parked alone with its error. An error of the moment is raised again.
-- Locks: holds (never waiting), then accounts in the order of owner and unit, then lots.
-- Callers: worker (sweep holds_expire)
create or replace function ledger.holds_expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_due record;
  v_hold record;
  v_state text;
  v_error text;
begin
  with due as materialized (
    select h.owner_id, h.unit, h.id
      from ledger.hold h
     where h.state = 'held' and h.expires_at <= (select ops.now())
       and (h.parked_until is null or h.parked_until <= (select ops.now()))
     order by h.expires_at, h.owner_id, h.id
     limit holds_expire.batch
       for no key update skip locked
  )
  select count(*)::integer as count,
         array_agg(d.owner_id order by d.owner_id, d.unit, d.id) as owners,
         array_agg(d.unit order by d.owner_id, d.unit, d.id) as units,
         array_agg(d.id order by d.owner_id, d.unit, d.id) as ids
    into v_due
    from due d;
  holds_expire.processed := 0;
  holds_expire.failed := 0;
  holds_expire.more := v_due.count = holds_expire.batch;

  begin
    for v_hold in
      select d.* from unnest(v_due.owners, v_due.units, v_due.ids) d(owner_id, unit, id)
    loop
      perform ledger.expire_hold(v_hold.owner_id, v_hold.unit, v_hold.id);
    end loop;
    holds_expire.processed := v_due.count;
    return;
  exception when others then
    if ops.is_passing(sqlstate) then
      raise;
    end if;
  end;

  for v_hold in
    select d.* from unnest(v_due.owners, v_due.units, v_due.ids) d(owner_id, unit, id)
  loop
    begin
      perform ledger.expire_hold(v_hold.owner_id, v_hold.unit, v_hold.id);
      holds_expire.processed := holds_expire.processed + 1;
    exception when others then
      if ops.is_passing(sqlstate) then
        raise;
      end if;
      get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
      update ledger.hold h set parked_until = ops.park('holds_expire', v_hold.id::text, v_state, v_error)
       where h.owner_id = v_hold.owner_id and h.id = v_hold.id;
      holds_expire.failed := holds_expire.failed + 1;
    end;
  end loop;
end
$$;
