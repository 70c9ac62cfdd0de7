-- billing.upgraded: what the changes of plan give in all that were made from `starts_at` on and before `before` (null: open), in a
-- period that began with `began_with` credits. Each credit above those counts once, for the largest part of the period that a
-- change to a plan which includes it was made with: so that it is the same in whatever order the changes are told, and nothing is
-- won by going back and forth.
-- Callers: billing.in_order
create or replace function billing.upgraded(subscription_id uuid, starts_at timestamptz, before timestamptz, began_with bigint)
  returns bigint
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return (
    with change as materialized (
      select p.included_credits - r.amount as lower, p.included_credits::bigint as upper,
             billing.part_of_period(r.subscription_id, r.price_id, r.starts_at, r.ends_at) as part
        from billing.renewal r join billing.plan p on p.id = r.plan_id
       where r.subscription_id = upgraded.subscription_id and r.kind = 'upgrade' and r.state in ('given', 'late')
         and r.starts_at >= upgraded.starts_at and (upgraded.before is null or r.starts_at < upgraded.before)
    ), level as (
      select x.lower, lead(x.lower) over (order by x.lower) as upper
        from (select c.lower from change c
              union select c.upper from change c
              union select upgraded.began_with) x(lower)
    )
    -- A millionth of a credit is what a division may lack.
    select coalesce(floor(round(sum((l.upper - l.lower)
             * (select max(c.part) from change c where c.lower <= l.lower and c.upper >= l.upper)), 6)), 0)
      from level l
     where l.lower >= upgraded.began_with);
end
$$;
