-- billing.part_of_period: how much of a price's period the span is, from 0 to 1. The period ends at `ends_at` and began an
-- interval before, in UTC; where a month has no 31st, a day or three are forgiven.
-- Callers: billing.give_waiting, billing.give_upgrade
create or replace function billing.part_of_period(price_id uuid, starts_at timestamptz, ends_at timestamptz)
  returns numeric
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_began_at timestamptz;
begin
  select ((part_of_period.ends_at at time zone 'UTC') - make_interval(
           years => case r.interval_unit when 'year' then r.interval_count else 0 end,
           months => case r.interval_unit when 'month' then r.interval_count else 0 end,
           weeks => case r.interval_unit when 'week' then r.interval_count else 0 end,
           days => case r.interval_unit when 'day' then r.interval_count else 0 end)) at time zone 'UTC'
    into strict v_began_at
    from billing.price r
   where r.id = part_of_period.price_id;
  return greatest(0, least(1, extract(epoch from part_of_period.ends_at - part_of_period.starts_at)
    / extract(epoch from part_of_period.ends_at - v_began_at)));
end
$$;
