-- billing.reschedule: what follows from a subscription of ours as it stands: when it is renewed, when it ends, when its customer hears.
-- What he was to hear already, and has not, he hears still. What a sweep had failed at is tried anew. Locks: the caller holds the workspace's row; then the subscription. Callers: billing's routines
create or replace function billing.reschedule(id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  update billing.subscription s
     set renew_at = d.renew_at, expire_at = d.expire_at, renew_attempts = 0,
         notice_at = case when s.notice_at <= ops.now() then s.notice_at
           else billing.next_notice(s.state, s.current_period_start, s.current_period_end, ops.now()) end,
         parked_until = null
    from billing.subscription b
    join billing.plan p on p.id = b.plan_id
   cross join lateral billing.schedule_of(b.state, b.auto_renew, b.cancel_at, b.current_period_start, b.current_period_end, p.grace_days) d
   where s.id = reschedule.id and b.id = s.id and s.ended_at is null
  returning old.parked_until is not null as parked into v_row;
  if v_row.parked then
    perform billing.unpark(reschedule.id);
  end if;
end
$$;
