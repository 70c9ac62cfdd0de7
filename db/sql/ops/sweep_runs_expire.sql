-- ops.sweep_runs_expire: drops the run rows of sweeps after 35 days.
-- Callers: worker (sweep sweep_runs_expire)
create or replace function ops.sweep_runs_expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  with old as materialized (
    select r.id from ops.sweep_run r
     where r.started_at <= (select ops.now()) - interval '35 days'
     order by r.started_at, r.id
     limit sweep_runs_expire.batch
       for update skip locked
  )
  delete from ops.sweep_run r using old where r.id = old.id;
  get diagnostics sweep_runs_expire.processed = row_count;
  sweep_runs_expire.failed := 0;
  sweep_runs_expire.more := sweep_runs_expire.processed = sweep_runs_expire.batch;
end
$$;
