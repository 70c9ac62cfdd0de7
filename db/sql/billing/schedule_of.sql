-- billing.schedule_of: of a subscription of ours: when its next period is to be paid (null: it is not), and when it ends if it is not.
-- Who renews and was not asked yet has a week (of a shorter period as long as that), or the plan's grace where that is longer: sweeps
-- may be late, and what a customer's balance could have paid must not end for it. Who could not pay has the plan's grace from the
-- period's end. What is not renewed ends with its period. Callers: billing's routines
create or replace function billing.schedule_of(
  state text,
  auto_renew boolean,
  cancel_at timestamptz,
  starts_at timestamptz,
  ends_at timestamptz,
  grace_days integer,
  out renew_at timestamptz,
  out expire_at timestamptz
)
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  if schedule_of.state = 'past_due' then
    schedule_of.expire_at := schedule_of.ends_at + make_interval(days => schedule_of.grace_days);
  elsif schedule_of.auto_renew and schedule_of.cancel_at is null then
    schedule_of.renew_at := schedule_of.ends_at;
    schedule_of.expire_at := schedule_of.ends_at
      + greatest(least(interval '7 days', schedule_of.ends_at - schedule_of.starts_at),
          make_interval(days => case schedule_of.state when 'trialing' then 0 else schedule_of.grace_days end));
  else
    schedule_of.expire_at := schedule_of.ends_at;
  end if;
end
$$;
