-- ops.claim_sweep: a person has one sweep run now, whether or not it is due. Guarantees: an audit row in the same statement.
-- Refuses: sweep_running (somebody runs it, or had begun to less than a lease ago). Locks: the sweep's row. Callers: worker
create or replace function ops.claim_sweep(
  inout name text,
  lease interval,
  caused_by text,
  out run_id uuid
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_claimed record;
begin
  -- Whenever it started, were it in the future of a clock that was set back.
  v_claimed := ops.claim_sweeps(array[claim_sweep.name], array[interval '-100 years'], claim_sweep.lease);
  if cardinality(v_claimed.run_ids) = 0 then
    perform ops.refuse('sweep_running');
  end if;
  claim_sweep.run_id := v_claimed.run_ids[1];
  perform ops.record_change(
    workspace_id => null, actor => claim_sweep.caused_by, action => 'sweep.run', subject => 'sweep:' || claim_sweep.name,
    detail => jsonb_build_object('run_id', claim_sweep.run_id));
end
$$;
