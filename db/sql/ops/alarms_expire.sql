-- ops.alarms_expire: drops alarms that were closed 400 days ago. What was done about them is in the audit.
-- Callers: worker (sweep alarms_expire)
create or replace function ops.alarms_expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  with old as materialized (
    select a.ctid from ops.alarm a
     where a.closed_at <= (select ops.now()) - interval '400 days'
     order by a.closed_at
     limit alarms_expire.batch
       for update skip locked
  )
  delete from ops.alarm a using old where a.ctid = old.ctid;
  get diagnostics alarms_expire.processed = row_count;
  alarms_expire.failed := 0;
  alarms_expire.more := alarms_expire.processed = alarms_expire.batch;
end
$$;
