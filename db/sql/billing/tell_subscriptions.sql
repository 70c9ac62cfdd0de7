-- billing.tell_subscriptions: trigger function: tells the operator's endpoints what became of subscriptions, all that one statement
-- wrote at once: subscription.created, .canceled (it is over), .renewed (a new period has begun; its state says whether it is paid),
-- .updated (any other change that a customer could notice). Nothing is read where nobody listens. Callers: triggers
create or replace function billing.tell_subscriptions()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_types jsonb;
begin
  if not messages.listens('subscription') then
    return null;
  end if;
  -- What each update was is asked for itself: an insert has no old_rows that the query below could name. By id in jsonb, for a join
  -- would cost each change 20 µs.
  if tg_op = 'UPDATE' then
    select jsonb_object_agg(n.id, case
             when o.ended_at is null and n.ended_at is not null then 'subscription.canceled'
             when n.current_period_start > o.current_period_start and n.ended_at is null then 'subscription.renewed'
             else 'subscription.updated' end)
      into v_types
      from new_rows n
      join old_rows o on o.id = n.id
     where (o.state, o.plan_id, o.price_id, o.quantity, o.current_period_start, o.current_period_end, o.trial_end, o.cancel_at,
            o.ended_at, o.next_price_id, o.next_quantity, o.auto_renew, o.superseded_by)
       is distinct from
           (n.state, n.plan_id, n.price_id, n.quantity, n.current_period_start, n.current_period_end, n.trial_end, n.cancel_at,
            n.ended_at, n.next_price_id, n.next_quantity, n.auto_renew, n.superseded_by);
    if v_types is null then
      return null;
    end if;
  end if;
  perform messages.tell_many(
      array_agg(coalesce(v_types->>n.id::text, 'subscription.created')), array_agg(n.workspace_id), array_agg(n.id::text),
      array_agg(n.version),
      array_agg(jsonb_build_object(
        'state', n.state, 'collection', n.collection, 'plan', p.code, 'plan_version', p.number, 'quantity', n.quantity,
        'current_period_start', ops.utc(n.current_period_start), 'current_period_end', ops.utc(n.current_period_end),
        'trial_end', ops.utc(n.trial_end), 'cancel_at', ops.utc(n.cancel_at), 'ended_at', ops.utc(n.ended_at),
        'ended_reason', n.ended_reason, 'auto_renew', n.auto_renew, 'superseded_by', n.superseded_by)))
     from new_rows n
     left join billing.plan p on p.id = n.plan_id
    where v_types is null or v_types ? n.id::text
   having count(*) > 0;
  return null;
end
$$;
