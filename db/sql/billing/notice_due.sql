-- billing.notice_due: the customers of these subscriptions are told when their period, or their trial, ends: once for each period and
-- number of days, whoever runs at once. Where sweeps were late, only the nearest is told, and nothing after the end.
-- Locks: the caller holds the rows. Callers: billing.do_due
create or replace function billing.notice_due(ids uuid[])
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_row record;
begin
  for v_row in
    with told as (
      update billing.subscription s
         set notice_at = billing.next_notice(s.state, s.current_period_start, s.current_period_end, v_now)
       where s.id = any (notice_due.ids) and s.notice_at <= v_now
      returning s.id, s.workspace_id, s.state, s.period_number, s.current_period_end, s.renew_at, s.price_id, s.next_price_id,
                s.quantity, s.next_quantity
    ), due as (
      select t.*, ceil(extract(epoch from t.current_period_end - v_now) / 86400)::integer as days,
             r.amount_minor::bigint * coalesce(t.next_quantity, t.quantity) as amount, r.currency
        from told t join billing.price r on r.id = coalesce(t.next_price_id, t.price_id)
       where t.current_period_end > v_now
    )
    select d.state = 'trialing' as trial, array_agg(d.workspace_id) as workspaces,
           array_agg(case when d.state = 'trialing' then 'trial:' else 'reminder:' end || d.id || ':' || d.period_number || ':' || d.days)
             as keys,
           array_agg(jsonb_build_object('subscription_id', d.id, 'days', d.days, 'ends_at', d.current_period_end,
             'renews', d.renew_at is not null, 'amount_minor', d.amount, 'currency', d.currency)) as bodies
      from due d
     group by d.state = 'trialing'
  loop
    perform messages.enqueue_many('notice', case when v_row.trial then 'trial_notice' else 'reminder' end, v_row.workspaces,
      v_row.keys, v_row.bodies);
  end loop;
end
$$;
