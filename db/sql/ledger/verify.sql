-- ledger.verify: an owner's ledger proves itself, over all its units and all its history, in one snapshot.
-- Answers one name, verdict and detail (null when it holds) per check.
-- Callers: worker
create or replace function ledger.verify(
  owner_id uuid,
  out names text[],
  out oks boolean[],
  out details text[]
)
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_check record;
begin
  for v_check in
    with entry as materialized (
      select t.id, t.unit, e.side, e.lot_id, e.amount
        from ledger.transaction t
       cross join lateral unnest(t.sides, t.lots, t.amounts) e(side, lot_id, amount)
       where t.owner_id = verify.owner_id
    ), total as materialized (
      select e.unit, coalesce(sum(e.amount) filter (where e.side = 'available'), 0) as available,
             coalesce(sum(e.amount) filter (where e.side = 'held'), 0) as held,
             coalesce(-sum(e.amount) filter (where e.side = 'debt'), 0) as debt
        from entry e
       group by e.unit
    ), account as materialized (
      select a.unit, a.available, a.held, a.debt from ledger.account a where a.owner_id = verify.owner_id
    ), lot as materialized (
      select l.id, l.unit, l.available, l.given, l.expired, l.recovered, l.covered
        from ledger.lot l
       where l.owner_id = verify.owner_id
    ), open_hold as materialized (
      select h.unit, sum(h.amount) as amount
        from ledger.hold h
       where h.owner_id = verify.owner_id and h.state = 'held'
       group by h.unit
    )
    select 1 as place, 'entries_sum_to_zero' as name,
           (select string_agg(x.id::text, ' ') from (select e.id from entry e group by e.id having sum(e.amount) <> 0) x) as detail
    union all
    select 2, 'account_equals_entries',
           (select string_agg(coalesce(a.unit, t.unit), ' ') from account a full join total t on t.unit = a.unit
             where (coalesce(a.available, 0), coalesce(a.held, 0), coalesce(a.debt, 0))
                <> (coalesce(t.available, 0), coalesce(t.held, 0), coalesce(t.debt, 0)))
    union all
    select 3, 'nothing_below_zero',
           (select string_agg(x.name, ' ') from (
              select a.unit as name from account a where least(a.available, a.held, a.debt) < 0
              union all
              select l.id::text from lot l where least(l.available, l.given, l.expired, l.recovered, l.covered) < 0) x)
    union all
    select 4, 'lots_equal_available',
           (select string_agg(a.unit, ' ') from account a
             where a.available <> (select coalesce(sum(l.available), 0) from lot l where l.unit = a.unit))
    union all
    select 5, 'lots_equal_entries',
           (select string_agg(coalesce(l.id, e.lot_id)::text, ' ')
              from lot l
              full join (select x.lot_id, sum(x.amount) as available from entry x where x.side = 'available' group by x.lot_id) e
                on e.lot_id = l.id
             where coalesce(l.available, 0) <> coalesce(e.available, 0))
    union all
    select 6, 'held_equals_open_holds',
           (select string_agg(coalesce(a.unit, h.unit), ' ') from account a full join open_hold h on h.unit = a.unit
             where coalesce(a.held, 0) <> coalesce(h.amount, 0))
    union all
    select 7, 'debt_leaves_nothing_available',
           (select string_agg(a.unit, ' ') from account a where a.debt > 0 and a.available > 0)
    union all
    select 8, 'lots_within_given',
           (select string_agg(l.id::text, ' ') from lot l
             where l.available + l.expired + l.recovered > l.given or l.covered > l.recovered)
    order by place
  loop
    verify.names := verify.names || v_check.name;
    verify.oks := verify.oks || (v_check.detail is null);
    verify.details := verify.details || v_check.detail;
  end loop;
end
$$;
