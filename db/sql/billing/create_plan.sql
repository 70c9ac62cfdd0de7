-- billing.create_plan: a version of a plan with its prices. Equal to the newest version, it is that one (`created` false): so a
-- file of plans may be loaded again and again (A14). Subscribers keep their version until they are moved.
-- Guarantees: of two at once, one makes the version; an audit row in the same statement.
-- Refuses: constraints plan_*, price_*. Locks: the plan's code (advisory). Callers: worker, the command `npm run db:seed`
create or replace function billing.create_plan(
  inout code text,
  name text,
  included_credits bigint,
  rollover_cap bigint,
  rollover_expires_in interval,
  seats bigint,
  storage_bytes bigint,
  trial_days integer,
  grace_days integer,
  currencies text[],
  interval_units text[],
  interval_counts integer[],
  amounts_minor bigint[],
  caused_by text,
  grants_access boolean default false,
  out id uuid,
  out number integer,
  out created boolean,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_newest record;
  v_same boolean := false;
begin
  perform pg_advisory_xact_lock(hashtextextended('billing.plan:' || create_plan.code, 0));
  select p.id, p.number, p.created_at,
         (p.name, p.included_credits, p.rollover_cap, p.rollover_expires_in, p.seats, p.storage_bytes, p.trial_days,
          p.grace_days, p.grants_access)
         is not distinct from
         (create_plan.name, create_plan.included_credits, create_plan.rollover_cap, create_plan.rollover_expires_in,
          create_plan.seats, create_plan.storage_bytes, create_plan.trial_days, create_plan.grace_days,
          create_plan.grants_access) as same
    into v_newest
    from billing.plan p
   where p.code = create_plan.code
   order by p.number desc
   limit 1;
  if v_newest.same then
    v_same := not exists (
      select from (
        select r.currency, r.interval_unit, r.interval_count, r.amount_minor::bigint as amount_minor
          from billing.price r where r.plan_id = v_newest.id) stands
      full join unnest(create_plan.currencies, create_plan.interval_units, create_plan.interval_counts, create_plan.amounts_minor)
        asked(currency, interval_unit, interval_count, amount_minor)
        on (asked.currency, asked.interval_unit, asked.interval_count, asked.amount_minor)
         = (stands.currency, stands.interval_unit, stands.interval_count, stands.amount_minor)
       where asked.currency is null or stands.currency is null);
  end if;
  create_plan.created := not v_same;
  if v_same then
    create_plan.id := v_newest.id;
    create_plan.number := v_newest.number;
    create_plan.created_at := v_newest.created_at;
    return;
  end if;

  create_plan.id := uuidv7();
  create_plan.number := coalesce(v_newest.number, 0) + 1;
  create_plan.created_at := ops.now();
  insert into billing.plan
    (id, code, number, name, included_credits, rollover_cap, rollover_expires_in, seats, storage_bytes, trial_days,
     grace_days, grants_access, created_at)
  values
    (create_plan.id, create_plan.code, create_plan.number, create_plan.name, create_plan.included_credits,
     create_plan.rollover_cap, create_plan.rollover_expires_in, create_plan.seats, create_plan.storage_bytes,
     create_plan.trial_days, create_plan.grace_days, create_plan.grants_access,
     create_plan.created_at);
  insert into billing.price (id, plan_id, currency, amount_minor, interval_unit, interval_count, lookup_key)
  select uuidv7(), create_plan.id, x.currency, x.amount_minor, x.interval_unit, x.interval_count,
         concat_ws('_', 'tollgate', create_plan.code, create_plan.number, x.currency, x.interval_count || x.interval_unit)
    from unnest(create_plan.currencies, create_plan.interval_units, create_plan.interval_counts, create_plan.amounts_minor)
      x(currency, interval_unit, interval_count, amount_minor);
  perform ops.record_change(
    workspace_id => null, actor => create_plan.caused_by, action => 'plan.create',
    subject => 'plan:' || create_plan.code,
    detail => jsonb_build_object('number', create_plan.number, 'included_credits', create_plan.included_credits));
end
$$;
