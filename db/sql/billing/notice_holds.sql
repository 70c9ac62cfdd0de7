-- billing.notice_holds: is what a notice says of a subscription still so? That a period ends is said only while it is the current one.
-- Callers: messages.still_holds
create or replace function billing.notice_holds(kind text, body jsonb)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  return notice_holds.kind not in ('trial_notice', 'reminder') or exists (
    select from billing.subscription s
     where s.id = (notice_holds.body->>'subscription_id')::uuid
       and s.state in ('trialing', 'active') and s.current_period_end = (notice_holds.body->>'ends_at')::timestamptz);
end
$$;
