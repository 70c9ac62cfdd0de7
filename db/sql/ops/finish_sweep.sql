-- ops.finish_sweep: a run tells what it did, and gives its lease back if it still has it.
-- Guarantees: an error opens an alarm for the sweep; a run without one closes it. A second report changes nothing.
-- Two OUT columns: with one, Postgres would answer a scalar and no composite.
-- Callers: worker
create or replace function ops.finish_sweep(
  run_id uuid,
  processed integer,
  failed integer,
  more boolean,
  error text,
  out name text,
  out finished boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update ops.sweep_run r
     set finished_at = ops.now(), processed = finish_sweep.processed, failed = finish_sweep.failed,
         more = finish_sweep.more, error = finish_sweep.error
   where r.id = finish_sweep.run_id and r.finished_at is null
  returning r.name into finish_sweep.name;
  finish_sweep.finished := found;
  if not found then
    return;
  end if;
  update ops.sweep s set leased_until = null, more = finish_sweep.more
   where s.name = finish_sweep.name and s.run_id = finish_sweep.run_id;
  if finish_sweep.error is null then
    perform ops.close_alarm('sweep_failed', finish_sweep.name);
  else
    perform ops.raise_alarm('sweep_failed', finish_sweep.name, jsonb_build_object('error', finish_sweep.error));
  end if;
end
$$;
