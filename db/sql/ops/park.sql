-- ops.park: a row that a sweep could not process is kept apart with its error, under an alarm, and named again later.
-- Guarantees: `until` (returned) grows with each failure, from one minute to a day; the sweep skips the row until then.
-- Callers: sweeps
create or replace function ops.park(sweep text, subject text, sqlstate text, error text, out until timestamptz)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
begin
  insert into ops.parked as p (sweep, subject, sqlstate, error, first_at, last_at, until)
  values (park.sweep, park.subject, park.sqlstate, park.error, v_now, v_now, v_now + interval '1 minute')
  on conflict on constraint parked_pk do update
    set times = p.times + 1, sqlstate = excluded.sqlstate, error = excluded.error, last_at = v_now,
        until = v_now + least(interval '1 day', interval '1 minute' * power(2, least(p.times, 11)))
  returning p.until into park.until;
  perform ops.raise_alarm('row_parked', park.sweep || ':' || park.subject,
    jsonb_build_object('sqlstate', park.sqlstate, 'error', park.error));
end
$$;
