-- ops.utc: an instant as answers show it: RFC 3339, in UTC. For what is told to the outside. Callers: every routine that tells an event
create or replace function ops.utc(at timestamptz)
  returns text
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return to_char(utc.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
end
$$;
