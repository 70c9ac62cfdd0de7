-- ops.claim_sweeps: which of these sweeps are due now, each claimed under a lease for one run.
-- `names[i]` is due when `intervals[i]` has passed since its last start, or its last run left more to do.
-- Guarantees: of callers at once, one gets a sweep; a lease that ran out (a dead Worker) is claimed again. Claiming only
--   saves work: a sweep is right at 0, 1 or many at once. Each claim has its run row.
-- Locks: the sweeps' rows in the order of their names.
-- Callers: worker
create or replace function ops.claim_sweeps(
  inout names text[],
  intervals interval[],
  lease interval,
  out run_ids uuid[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_due record;
  v_run uuid;
  v_now timestamptz := ops.now();
  v_names text[] := '{}';
begin
  claim_sweeps.run_ids := '{}';
  for v_due in
    select n.name, n.every from unnest(claim_sweeps.names, claim_sweeps.intervals) n(name, every) order by n.name
  loop
    v_run := uuidv7();
    insert into ops.sweep as s (name, run_id, started_at, leased_until)
    values (v_due.name, v_run, v_now, v_now + claim_sweeps.lease)
    on conflict (name) do update
      set run_id = excluded.run_id, started_at = excluded.started_at, leased_until = excluded.leased_until, more = false
      where (s.leased_until is null or s.leased_until <= ops.now())
        and (s.more or s.started_at + v_due.every <= ops.now());
    if found then
      insert into ops.sweep_run (id, name, started_at) values (v_run, v_due.name, v_now);
      v_names := v_names || v_due.name;
      claim_sweeps.run_ids := claim_sweeps.run_ids || v_run;
    end if;
  end loop;
  claim_sweeps.names := v_names;
end
$$;
