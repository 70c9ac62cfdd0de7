-- billing.period_starts_at: when a period starts that is `steps` intervals after the anchor, in UTC: always reckoned from the anchor, and
-- never from the period before it, which the 31st would drift in. Callers: billing's routines
create or replace function billing.period_starts_at(anchor timestamptz, every interval, steps integer)
  returns timestamptz
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return ((period_starts_at.anchor at time zone 'UTC') + period_starts_at.steps * period_starts_at.every) at time zone 'UTC';
end
$$;
