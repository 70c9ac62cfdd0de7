-- billing.period_after: when the period of a price ends that begins at this moment: an interval later, in UTC; where a month has no
-- 31st, on its last day. Callers: billing's routines
create or replace function billing.period_after(price_id uuid, starts_at timestamptz)
  returns timestamptz
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return (
    select ((period_after.starts_at at time zone 'UTC') + (r.interval_count || ' ' || r.interval_unit)::interval)
             at time zone 'UTC'
      from billing.price r
     where r.id = period_after.price_id);
end
$$;
