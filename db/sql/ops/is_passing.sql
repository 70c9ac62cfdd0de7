-- ops.is_passing: is this an error of the moment (a deadlock, a lock or statement timeout, a lost connection, no memory
-- or room) and not of the row? Such an error is raised again, so that the whole call is repeated; it never parks a row.
-- Callers: sweeps
create or replace function ops.is_passing(sqlstate text)
  returns boolean
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return left(is_passing.sqlstate, 2) in ('40', '53', '57', '58', '08') or is_passing.sqlstate = '55P03';
end
$$;
