-- ops.readiness: what /ready shows (B10): the database's view of itself, in one call.
-- `connections_allowed` is what is left for ordinary roles; `oldest_transaction_seconds` sees other roles' transactions
-- because the owner may (pg_monitor; Neon's owner has it).
-- Callers: worker
create or replace function ops.readiness(
  out database_time timestamptz,
  out connections integer,
  out connections_allowed integer,
  out oldest_transaction_seconds integer,
  out sweep_lag_seconds integer,
  out sweeps_running integer,
  out parked integer,
  out open_alarms integer,
  out inbox_open integer,
  out inbox_lag_seconds integer,
  out outbox_lag_seconds integer
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  readiness.database_time := ops.now();
  select count(*), max(extract(epoch from clock_timestamp() - a.xact_start)) filter (where a.pid <> pg_backend_pid())
    into readiness.connections, readiness.oldest_transaction_seconds
    from pg_stat_activity a
   where a.backend_type = 'client backend';
  readiness.connections_allowed := current_setting('max_connections')::integer
    - current_setting('superuser_reserved_connections')::integer - current_setting('reserved_connections')::integer;
  readiness.oldest_transaction_seconds := coalesce(readiness.oldest_transaction_seconds, 0);
  -- A registry's sweep starts at least once a minute's tick; the slowest to have started tells whether ticks come.
  select coalesce(extract(epoch from readiness.database_time - max(s.started_at)), 0),
         count(*) filter (where s.leased_until > readiness.database_time)
    into readiness.sweep_lag_seconds, readiness.sweeps_running
    from ops.sweep s;
  select count(*) into readiness.parked from ops.parked;
  select count(*) into readiness.open_alarms from ops.alarm a where a.closed_at is null;
  -- What came and has no effect yet, though it is to have one.
  select count(*), coalesce(extract(epoch from readiness.database_time - min(e.received_at)), 0)
    into readiness.inbox_open, readiness.inbox_lag_seconds
    from ops.event e
   where e.next_attempt_at is not null;
  readiness.outbox_lag_seconds := messages.lag_seconds();
end
$$;
