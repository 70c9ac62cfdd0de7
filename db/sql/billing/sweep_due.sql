-- billing.sweep_due: one batch of one of the sweeps of subscriptions of ours: auto_renew, expire, lapse, trial_expire, trial_notice, reminders.
-- Guarantees: right at none, one or many at once; run again at once it changes nothing. All of a batch, or, where that fails, row by
--   row: the bad one is parked alone with its error. An error of the moment is raised again.
-- Locks: as billing.claim_due, then what follows. Callers: the sweeps' routines
create or replace function billing.sweep_due(
  sweep text,
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_claim record;
  v_id uuid;
  v_state text;
  v_error text;
begin
  v_claim := billing.claim_due(sweep_due.sweep, sweep_due.batch);
  sweep_due.processed := 0;
  sweep_due.failed := 0;
  sweep_due.more := v_claim."full";
  if cardinality(v_claim.ids) = 0 then
    return;
  end if;
  begin
    perform billing.do_due(sweep_due.sweep, v_claim.ids);
    sweep_due.processed := cardinality(v_claim.ids);
    return;
  exception when others then
    if ops.is_passing(sqlstate) then
      raise;
    end if;
  end;
  foreach v_id in array v_claim.ids loop
    begin
      perform billing.do_due(sweep_due.sweep, array[v_id]);
      sweep_due.processed := sweep_due.processed + 1;
    exception when others then
      if ops.is_passing(sqlstate) then
        raise;
      end if;
      get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
      update billing.subscription s
         set parked_until = ops.park(sweep_due.sweep, v_id::text, v_state, v_error)
       where s.id = v_id;
      sweep_due.failed := sweep_due.failed + 1;
    end;
  end loop;
end
$$;
