-- billing.upgraded: what the changes of plan give in all that were made from `starts_at` on and before `before` (null: open), in a
-- period that began with `began_with` credits. Each credit above those counts once a period, for the largest part of it that a
-- change to a plan which includes it was made with: so that it is the same in whatever order the changes are told, and nothing is
-- won by going back and forth. A change of interval begins a period of its own, with the credits of the plan that it left.
-- Callers: billing.in_order
create or replace function billing.upgraded(subscription_id uuid, starts_at timestamptz, before timestamptz, began_with bigint)
  returns bigint
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return (
    with change as materialized (
      select p.included_credits - r.amount as lower, p.included_credits::bigint as upper, r.ends_at,
             billing.part_of_period(r.subscription_id, r.price_id, r.starts_at, r.ends_at) as part,
             billing.period_after(r.price_id, r.starts_at) = r.ends_at and not exists (
               select from billing.renewal x
                where x.subscription_id = r.subscription_id and x.kind = 'period' and x.ends_at = r.ends_at) as begins
        from billing.renewal r join billing.plan p on p.id = r.plan_id
       where r.subscription_id = upgraded.subscription_id and r.kind = 'upgrade' and r.state in ('given', 'late')
         and r.starts_at >= upgraded.starts_at and (upgraded.before is null or r.starts_at < upgraded.before)
    ), period as materialized (
      select c.ends_at, coalesce(min(c.lower) filter (where c.begins), upgraded.began_with) as began_with
        from change c group by c.ends_at
    ), level as (
      select x.ends_at, x.lower, lead(x.lower) over (partition by x.ends_at order by x.lower) as upper
        from (select c.ends_at, c.lower from change c
              union select c.ends_at, c.upper from change c
              union select p.ends_at, p.began_with from period p) x(ends_at, lower)
    )
    -- A millionth of a credit is what a division may lack.
    select coalesce(floor(round(sum((l.upper - l.lower)
             * (select max(c.part) from change c
                 where c.ends_at = l.ends_at and c.lower <= l.lower and c.upper >= l.upper)), 6)), 0)
      from level l join period p on p.ends_at = l.ends_at
     where l.lower >= p.began_with);
end
$$;
