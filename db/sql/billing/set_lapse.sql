-- billing.set_lapse: trigger function: of a subscription that a provider collects, when its customer is let in no more if nothing is paid: at
-- the end of its plan's grace. Reckoned anew only where what it depends on has changed: what the sweep has done stays done. Callers: triggers
create or replace function billing.set_lapse()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and (old.state, old.past_due_since, old.plan_id, old.ended_at)
    is not distinct from (new.state, new.past_due_since, new.plan_id, new.ended_at) then
    return new;
  end if;
  new.lapse_at := case when new.collection <> 'balance' and new.state = 'past_due' and new.ended_at is null then
    new.past_due_since + make_interval(days => coalesce((select p.grace_days from billing.plan p where p.id = new.plan_id), 0)) end;
  return new;
end
$$;
