-- billing.note_checkout: a checkout for a plan was paid: its subscription and its first period are known, whoever tells first.
-- Until an event or the provider tells more, it is active (or in its trial). Answers the subscription's id.
-- Locks: the caller holds the workspace's row; then the subscription, and the account. Callers: payments.finalize
create or replace function billing.note_checkout(
  workspace_id uuid,
  provider_id text,
  price_id uuid,
  quantity integer,
  trial_days integer,
  invoice text,
  paid_at timestamptz,
  payment_id uuid,
  caused_by text
)
  returns uuid
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid := billing.ensure_subscription(note_checkout.workspace_id, note_checkout.provider_id);
  v_price record;
begin
  select p.id, p.plan_id, p.provider_id,
         (p.interval_count || ' ' || p.interval_unit)::interval as every
    into strict v_price
    from billing.price p where p.id = note_checkout.price_id;
  update billing.subscription s
     set state = case when note_checkout.trial_days > 0 then 'trialing' else 'active' end,
         plan_id = v_price.plan_id, price_id = v_price.id, quantity = note_checkout.quantity, lived = true
   where s.id = v_id and s.seen_at is null and s.synced_at is null and s.state = 'incomplete';
  if found then
    perform billing.choose_live(note_checkout.workspace_id, note_checkout.caused_by);
    perform billing.follow(note_checkout.workspace_id);
  end if;
  if note_checkout.invoice is not null then
    perform billing.renew(note_checkout.workspace_id, note_checkout.provider_id, note_checkout.invoice, 'period',
      v_price.provider_id, null, note_checkout.paid_at,
      note_checkout.paid_at + case when note_checkout.trial_days > 0
        then make_interval(days => note_checkout.trial_days) else v_price.every end,
      note_checkout.payment_id, note_checkout.caused_by, exact => false);
  end if;
  return v_id;
end
$$;
