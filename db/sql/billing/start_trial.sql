-- billing.start_trial: a workspace tries a plan, for the plan's days, without paying: once for ever, and once for whoever it is
-- (`identity_hash`: a SHA-256 of what the operator knows its customer by; a workspace made anew is the same customer's). With
-- `auto_renew` the first period is paid from the balance when the trial ends.
-- Guarantees: an audit row in the same statement.
-- Refuses: not_found; workspace_frozen; plan_unknown, price_unknown; trial_not_offered; subscription_exists (with its state); trial_used.
-- Locks: the workspace, then the subscription, what it is limited to, the key. Callers: worker
create or replace function billing.start_trial(
  workspace_id uuid,
  plan_code text,
  plan_number integer,
  currency text,
  interval_unit text,
  interval_count integer,
  quantity integer,
  identity_hash text,
  auto_renew boolean,
  caused_by text,
  out id uuid,
  out state text,
  out trial_end timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_access record;
  v_offer record;
  v_standing record;
  v_credits bigint;
  v_now timestamptz;
  v_holder text;
begin
  if not people.lock_workspace(start_trial.workspace_id) then
    perform ops.refuse('not_found');
  end if;
  v_access := people.access_of(start_trial.workspace_id);
  if v_access.refusal = 'workspace_frozen' then
    perform ops.refuse(v_access.refusal, jsonb_build_object('reason', v_access.reason));
  end if;
  v_offer := billing.offer(start_trial.plan_code, start_trial.plan_number, null, start_trial.currency, start_trial.interval_unit,
    start_trial.interval_count, published => false);
  if v_offer.trial_days = 0 then
    perform ops.refuse('trial_not_offered');
  end if;
  v_standing := billing.standing_of(start_trial.workspace_id);
  if v_standing.state is not null then
    perform ops.refuse('subscription_exists', jsonb_build_object('state', v_standing.state));
  elsif v_standing.had_one then
    perform ops.refuse('trial_used', jsonb_build_object('by', 'workspace'));
  end if;
  start_trial.id := uuidv7();
  v_now := ops.now();
  foreach v_holder in array array_remove(array['workspace:' || start_trial.workspace_id, 'identity:' || start_trial.identity_hash], null) loop
    -- Who comes second with the same identity waits here for the first.
    insert into billing.trial (holder, workspace_id, subscription_id, created_at)
    values (v_holder, start_trial.workspace_id, start_trial.id, v_now)
    on conflict on constraint trial_pk do nothing;
    if not found then
      perform ops.refuse('trial_used', jsonb_build_object('by', split_part(v_holder, ':', 1)));
    end if;
  end loop;
  start_trial.state := 'trialing';
  start_trial.trial_end := v_now + make_interval(days => v_offer.trial_days);
  insert into billing.subscription
    (id, workspace_id, collection, plan_id, price_id, quantity, state, current_period_start, current_period_end, trial_end, lived,
     anchor, anchor_number, period_number, auto_renew, expire_at, created_at)
  values
    (start_trial.id, start_trial.workspace_id, 'balance', v_offer.plan_id, v_offer.price_id, start_trial.quantity,
     start_trial.state, v_now, start_trial.trial_end, start_trial.trial_end, true, start_trial.trial_end, 1, 0,
     start_trial.auto_renew, start_trial.trial_end, v_now);
  perform billing.reschedule(start_trial.id);
  select p.included_credits into strict v_credits from billing.plan p where p.id = v_offer.plan_id;
  if v_credits > 0 then
    perform ledger.reset(owner_id => start_trial.workspace_id, unit => 'credit', pool => 'subscription', amount => v_credits,
      expires_at => null, reason => 'trial', idempotency_key => 'tg:trial:' || start_trial.id, caused_by => start_trial.caused_by);
  end if;
  perform billing.follow(start_trial.workspace_id);
  perform ops.record_change(
    workspace_id => start_trial.workspace_id, actor => start_trial.caused_by, action => 'subscription.trial',
    subject => 'subscription:' || start_trial.id,
    detail => jsonb_build_object('plan', start_trial.plan_code, 'quantity', start_trial.quantity));
end
$$;
