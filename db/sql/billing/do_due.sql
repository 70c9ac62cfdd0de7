-- billing.do_due: does for these subscriptions what a sweep is for, in one; those that it had failed at before are no longer parked.
-- Of a thousand it reads a thousand by their ids, and not all (as in billing.claim_due).
-- Locks: the caller holds the rows and their workspaces. Callers: billing.sweep_due
create or replace function billing.do_due(sweep text, ids uuid[])
  returns void
  language plpgsql volatile security definer set search_path = '' set random_page_cost = '1.1'
as $$
declare
  v_parked uuid[];
begin
  if do_due.sweep = 'auto_renew' then
    perform billing.renew_due(do_due.ids);
  elsif do_due.sweep = 'expire' then
    perform billing.end_due(do_due.ids, 'sweep:expire');
  elsif do_due.sweep = 'lapse' then
    perform billing.lapse_due(do_due.ids);
  elsif do_due.sweep = 'trial_expire' then
    perform billing.end_due(do_due.ids, 'sweep:trial_expire');
  else
    perform billing.notice_due(do_due.ids);
  end if;
  v_parked := array(select s.id from billing.subscription s where s.id = any (do_due.ids) and s.parked_until is not null);
  if cardinality(v_parked) > 0 then
    update billing.subscription s set parked_until = null where s.id = any (v_parked);
    perform billing.unpark(x.id) from unnest(v_parked) x(id);
  end if;
end
$$;
