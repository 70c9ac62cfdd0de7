-- billing.differs: does what the provider says of a subscription differ from what is known of it?
-- Callers: billing.apply_subscription, billing.sync_subscription, billing.compare_subscriptions
create or replace function billing.differs(id uuid, fact jsonb)
  returns boolean
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_differs boolean;
begin
  select (s.state, p.provider_id, s.quantity, s.current_period_start, s.current_period_end, s.trial_end, s.cancel_at,
          s.schedule_id)
         is distinct from
         (differs.fact ->> 'status', differs.fact ->> 'price', coalesce((differs.fact ->> 'quantity')::integer, 1),
          billing.second_of(differs.fact, 'current_period_start'), billing.second_of(differs.fact, 'current_period_end'),
          billing.second_of(differs.fact, 'trial_end'), billing.second_of(differs.fact, 'cancel_at'),
          differs.fact ->> 'schedule')
         or differs.fact ? 'next_price' and n.provider_id is distinct from differs.fact ->> 'next_price'
    into strict v_differs
    from billing.subscription s
    left join billing.price p on p.id = s.price_id
    left join billing.price n on n.id = s.next_price_id
   where s.id = differs.id;
  return v_differs;
end
$$;
