-- billing.claim_due: up to `batch` subscriptions of ours that a sweep has something to do for, locked together with their workspaces;
-- without waiting for anybody: what somebody else holds is left to him, or to the next run (`full`: there may be more).
-- Guarantees: of sweeps at once, each gets other rows; what was changed meanwhile is looked at anew (D9). Its cost does not grow with the
--   table: each sweep has its partial index. Statistics of a table that grows by the second are old, and the planner's price of a
--   random page is a disk's: without the setting, it read the whole table for a batch of 1000.
-- Locks: subscriptions, workspaces, both SKIP LOCKED. Callers: billing.sweep_due
create or replace function billing.claim_due(
  sweep text,
  batch integer,
  out ids uuid[],
  out "full" boolean
)
  language plpgsql volatile security definer set search_path = '' set random_page_cost = '1.1'
as $$
declare
  v_due record;
  v_workspaces uuid[];
begin
  if claim_due.sweep = 'auto_renew' then
    select array_agg(d.id) as ids, array_agg(d.workspace_id) as workspaces into v_due
      from (select s.id, s.workspace_id from billing.subscription s
             where s.renew_at <= (select ops.now()) and s.expire_at > (select ops.now())
               and (s.parked_until is null or s.parked_until <= (select ops.now()))
             order by s.renew_at, s.id limit claim_due.batch for no key update skip locked) d;
  elsif claim_due.sweep = 'expire' then
    select array_agg(d.id) as ids, array_agg(d.workspace_id) as workspaces into v_due
      from (select s.id, s.workspace_id from billing.subscription s
             where s.expire_at <= (select ops.now()) and s.state <> 'trialing'
               and (s.parked_until is null or s.parked_until <= (select ops.now()))
             order by s.expire_at, s.id limit claim_due.batch for no key update skip locked) d;
  elsif claim_due.sweep = 'lapse' then
    select array_agg(d.id) as ids, array_agg(d.workspace_id) as workspaces into v_due
      from (select s.id, s.workspace_id from billing.subscription s
             where s.lapse_at <= (select ops.now()) and (s.parked_until is null or s.parked_until <= (select ops.now()))
             order by s.lapse_at, s.id limit claim_due.batch for no key update skip locked) d;
  elsif claim_due.sweep = 'trial_expire' then
    select array_agg(d.id) as ids, array_agg(d.workspace_id) as workspaces into v_due
      from (select s.id, s.workspace_id from billing.subscription s
             where s.expire_at <= (select ops.now()) and s.state = 'trialing'
               and (s.parked_until is null or s.parked_until <= (select ops.now()))
             order by s.expire_at, s.id limit claim_due.batch for no key update skip locked) d;
  elsif claim_due.sweep = 'trial_notice' then
    select array_agg(d.id) as ids, array_agg(d.workspace_id) as workspaces into v_due
      from (select s.id, s.workspace_id from billing.subscription s
             where s.notice_at <= (select ops.now()) and s.state = 'trialing'
               and (s.parked_until is null or s.parked_until <= (select ops.now()))
             order by s.notice_at, s.id limit claim_due.batch for no key update skip locked) d;
  elsif claim_due.sweep = 'reminders' then
    select array_agg(d.id) as ids, array_agg(d.workspace_id) as workspaces into v_due
      from (select s.id, s.workspace_id from billing.subscription s
             where s.notice_at <= (select ops.now()) and s.state <> 'trialing'
               and (s.parked_until is null or s.parked_until <= (select ops.now()))
             order by s.notice_at, s.id limit claim_due.batch for no key update skip locked) d;
  end if;
  if v_due.ids is null then
    claim_due.ids := '{}';
    claim_due."full" := false;
    return;
  end if;
  v_workspaces := people.claim_workspaces(v_due.workspaces);
  claim_due.ids := array(
    select d.id from unnest(v_due.ids, v_due.workspaces) d(id, workspace_id)
     where d.workspace_id = any (v_workspaces)
     order by d.id);
  -- Where all are somebody else's at the moment, to ask again at once would be to ask for nothing.
  claim_due."full" := cardinality(v_due.ids) = claim_due.batch and cardinality(claim_due.ids) > 0;
end
$$;
