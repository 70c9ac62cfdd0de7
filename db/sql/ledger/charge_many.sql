-- ledger.charge_many: ledger.charge for many owners at once: `charged[i]` says whether `owner_ids[i]` had `amounts[i]` of
-- `units[i]`, and `transaction_ids[i]` names what was done. Whoever lacks it, or has no account, is not charged, and nothing
-- of theirs changes.
-- Guarantees: to each as ledger.charge, never below zero: the guard stands on the account's row, and what has expired pays
--   nothing. No work row by row, but for accounts in which something has expired and the rest is enough.
-- Locks: all accounts, by owner and unit in one order for every caller, then their lots, in later statements.
-- Refuses (the whole call): idempotency_key_expired, idempotency_key_reused; SQLSTATE TG011 for an owner and unit twice, an
--   amount not above zero or an item without its fellows; TG004 when lots hold less than their account says (faults of ours).
-- One plan for a batch of any length and a table of any size, each account by its key: planned for a thousand, it read all
--   of a table of ten thousand.
-- Callers: billing's routines
create or replace function ledger.charge_many(
  owner_ids uuid[],
  units text[],
  amounts bigint[],
  idempotency_keys text[],
  side text,
  caused_by text,
  reason text default null,
  out charged boolean[],
  out transaction_ids uuid[]
)
  language plpgsql volatile security definer set search_path = '' set plan_cache_mode = 'force_generic_plan'
as $$
declare
  v_found record;
  v_now timestamptz;
  v_due record;
  v_done record;
begin
  if exists (
    select from unnest(charge_many.owner_ids, charge_many.units, charge_many.amounts, charge_many.idempotency_keys)
           i(owner_id, unit, amount, key)
     group by i.owner_id, i.unit
    having count(*) > 1 or not bool_and(coalesce(i.amount > 0, false)) or bool_or(num_nulls(i.owner_id, i.unit, i.key) > 0)
  ) then
    raise exception using errcode = 'TG011', message = 'each owner and unit is charged once, more than nothing, by a key';
  end if;

  with locked as materialized (
    select i.position, i.owner_id, i.unit, i.amount, i.key, a.next_expiry
      from unnest(charge_many.owner_ids, charge_many.units, charge_many.amounts, charge_many.idempotency_keys)
           with ordinality i(owner_id, unit, amount, key, position)
      join ledger.account a on a.owner_id = i.owner_id and a.unit = i.unit
     order by a.owner_id, a.unit
       for no key update
  )
  select array_agg(l.position) as positions, array_agg(l.owner_id) as owners, array_agg(l.unit) as units,
         array_agg(l.amount) as amounts, array_agg(l.key) as keys, array_agg(l.next_expiry) as next_expiries
    into v_found
    from locked l;

  -- After the locks: time has moved while they were waited for. What is over is closed where that leaves enough.
  v_now := ops.now();
  for v_due in
    select i.owner_id, i.unit
      from unnest(v_found.owners, v_found.units, v_found.amounts, v_found.next_expiries) i(owner_id, unit, amount, next_expiry)
     where i.next_expiry <= v_now
       and i.amount <= (
         select sum(l.available) from ledger.lot l
          where l.owner_id = i.owner_id and l.unit = i.unit and not l.empty
            and (l.expires_at is null or l.expires_at > v_now))
  loop
    perform ledger.expire_due(v_due.owner_id, v_due.unit);
  end loop;

  -- What is drawn carries all that it is drawn for: of two lists the planner does not know how long they are, and would join
  -- a thousand with a thousand row by row.
  with taken as (
    update ledger.account a set available = a.available - i.amount
      from unnest(v_found.positions, v_found.owners, v_found.units, v_found.amounts, v_found.keys)
           i(position, owner_id, unit, amount, key)
     where a.owner_id = i.owner_id and a.unit = i.unit and a.available >= i.amount
       and (a.next_expiry is null or a.next_expiry > v_now)
    returning i.position, i.owner_id, i.unit, i.amount, i.key, uuidv7() as id
  ), drawn as materialized (
    -- Of each lot what those before it lack, in the order of ledger.take.
    select t.*, l.place, l.lot_id, l.number, least(l.available, t.amount - l.before)::bigint as part
      from taken t
     cross join lateral (
       select l.ctid as place, l.id as lot_id, l.available, sum(l.available) over drain - l.available as before,
              row_number() over drain as number
         from ledger.lot l
        where l.owner_id = t.owner_id and l.unit = t.unit and not l.empty
       window drain as (order by l.drain_order, l.expires_at, l.id rows unbounded preceding)
     ) l
     where l.before < t.amount
  ), drained as (
    -- The accounts' rows are locked, so nobody changes their lots meanwhile, nor their places (ctid).
    update ledger.lot l set available = l.available - d.part, empty = (l.available = d.part)
      from drawn d
     where l.ctid = d.place
    returning d.part
  ), posted as (
    -- By owner and key: two calls in different units may name the same keys, and each waits for whoever has just used it.
    insert into ledger.transaction
      (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, reason, caused_by, created_at)
    select d.owner_id, d.unit, d.id, 'charge', d.amount, array_agg(e.side order by d.number, e.sign),
           array_agg(d.lot_id order by d.number, e.sign), array_agg(e.sign * d.part order by d.number, e.sign), d.key,
           charge_many.reason, charge_many.caused_by, v_now
      from drawn d
     cross join (values ('available', -1), (charge_many.side, 1)) e(side, sign)
     group by d.id, d.owner_id, d.unit, d.amount, d.key
     order by d.owner_id, d.key
    on conflict on constraint transaction_key_once do nothing
    returning id
  )
  select array_agg(t.position) as positions, array_agg(t.id) as ids, array_agg(t.owner_id) as owners, array_agg(t.key) as keys,
         sum(t.amount) = (select sum(d.part) from drained d) as whole, count(*) = (select count(*) from posted) as all_posted
    into v_done
    from taken t;
  if v_done.ids is not null and v_done.whole is not true then
    raise exception using errcode = 'TG004', message = 'lots of these accounts hold less than the accounts say';
  elsif not v_done.all_posted then
    perform ledger.refuse_used_key(t.owner_id, t.idempotency_key)
       from unnest(v_done.owners, v_done.keys, v_done.ids) d(owner_id, key, id)
       join ledger.transaction t on t.owner_id = d.owner_id and t.idempotency_key = d.key and t.id <> d.id;
  end if;

  -- A full join is none row by row, and all that was charged was asked for.
  select coalesce(array_agg(d.id is not null order by i.position), '{}'), coalesce(array_agg(d.id order by i.position), '{}')
    into charge_many.charged, charge_many.transaction_ids
    from unnest(charge_many.owner_ids) with ordinality i(owner_id, position)
    full join unnest(v_done.positions, v_done.ids) d(position, id) on d.position = i.position;
end
$$;
