-- billing.notice_holds: is what a notice says of a subscription still so? Asked when it is handed to contacts, and again when it is sent.
-- That a period or a trial ends is said while it is the current one, ends or renews as it was said, and until the next notice of it is
--   due; that it renewed, while it lives; that a renewal failed, while that one is owed and can still be paid; that it is over,
--   where no other one lives.
-- What is of no subscription (a receipt) stays true. Locks: nothing. Callers: messages.fan_out, messages.still_holds
create or replace function billing.notice_holds(kind text, body jsonb)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_row record;
begin
  if notice_holds.kind not in ('trial_notice', 'reminder', 'subscription_renewed', 'renewal_failed', 'trial_ended',
    'subscription_ended') then
    return true;
  end if;
  select s.workspace_id, s.state, s.ended_at is null and s.superseded_by is null as lives, s.period_number, s.current_period_start,
         s.current_period_end, s.renew_at, s.expire_at, r.amount_minor::bigint * coalesce(s.next_quantity, s.quantity) as amount, r.currency
    into v_row
    from billing.subscription s
    left join billing.price r on r.id = coalesce(s.next_price_id, s.price_id)
   where s.id = (notice_holds.body->>'subscription_id')::uuid;
  if not found then
    return false;
  end if;
  return coalesce(case
    when notice_holds.kind in ('trial_notice', 'reminder') then
      v_row.lives and v_row.state = case notice_holds.kind when 'reminder' then 'active' else 'trialing' end
      and v_row.current_period_end = (notice_holds.body->>'ends_at')::timestamptz
      and (v_row.renew_at is not null) = (notice_holds.body->>'renews')::boolean
      and (v_row.renew_at is null or v_row.amount = (notice_holds.body->>'amount_minor')::bigint
        and v_row.currency = notice_holds.body->>'currency')
      and v_now < coalesce(billing.next_notice(v_row.state, v_row.current_period_start, v_row.current_period_end,
        v_row.current_period_end - make_interval(days => (notice_holds.body->>'days')::integer)), v_row.current_period_end)
    when notice_holds.kind = 'subscription_renewed' then v_row.lives
    when notice_holds.kind = 'renewal_failed' then
      v_row.lives and v_row.state = 'past_due' and v_row.period_number + 1 = (notice_holds.body->>'period')::integer
      and v_now < v_row.expire_at
    else not v_row.lives and (billing.standing_of(v_row.workspace_id)).state is null end, false);
end
$$;
