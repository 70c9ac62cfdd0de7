-- payments.apply_invoice: an invoice of a subscription was paid: the payment is kept, and gives what it is for (billing.renew).
-- Only what Stripe bills for a period, or for a change within one, gives anything. One that could not be paid changes nothing
-- by itself: the subscription's state tells, and is fetched.
-- Locks: the payment intents in order, the workspace, then what follows. Waits for (TG010): the customer, the price.
-- Callers: ops.apply_event
create or replace function payments.apply_invoice(provider text, fact jsonb, caused_by text)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_workspace uuid := payments.workspace_of(apply_invoice.provider, apply_invoice.fact ->> 'customer');
  v_subscription text := apply_invoice.fact ->> 'subscription';
  v_intent text;
  v_payment uuid;
  v_subscription_id uuid;
  v_kind text := case apply_invoice.fact ->> 'billing_reason'
    when 'subscription_create' then 'period'
    when 'subscription_cycle' then 'period'
    -- A trial or a pause that is ended early is an update to Stripe: a period is billed, and nothing is credited against it.
    when 'subscription_update' then case when (apply_invoice.fact ->> 'begins')::boolean then 'period' else 'upgrade' end
    end;
  v_outcome text := 'paid';
  v_known boolean;
begin
  if v_workspace is null then
    perform ops.wait_for('customer:' || coalesce(apply_invoice.fact ->> 'customer', ''));
  end if;
  for v_intent in
    select x.id from jsonb_array_elements_text(coalesce(apply_invoice.fact -> 'payment_intents', '[]')) x(id) order by x.id
  loop
    perform payments.lock_intent(apply_invoice.provider, v_intent, apply_invoice.fact ->> 'customer');
  end loop;
  perform people.lock_workspace(v_workspace);
  if apply_invoice.fact ->> 'event' <> 'paid' then
    if v_subscription is not null then
      perform billing.mark_sync(billing.ensure_subscription(v_workspace, v_subscription));
    end if;
    return apply_invoice.fact ->> 'event';
  end if;

  v_known := exists (
    select from payments.payment p
     where p.provider = apply_invoice.provider and p.reference = apply_invoice.fact ->> 'invoice' and p.amount_minor > 0);
  v_payment := payments.record_payment(v_workspace, apply_invoice.provider, apply_invoice.fact ->> 'invoice',
    (apply_invoice.fact ->> 'amount_paid')::bigint, apply_invoice.fact ->> 'currency',
    billing.second_of(apply_invoice.fact, 'paid_at'), true);
  if v_subscription is not null then
    v_subscription_id := billing.ensure_subscription(v_workspace, v_subscription);
    update payments.payment p set subscription_id = v_subscription_id
     where p.id = v_payment and p.subscription_id is null;
  end if;
  -- A change that bills no price (of nothing to nothing) gives nothing; of a period that bills none, a person must hear.
  if v_subscription is not null and (v_kind = 'period' or v_kind = 'upgrade' and apply_invoice.fact ->> 'price' is not null) then
    v_outcome := billing.renew(v_workspace, v_subscription, apply_invoice.fact ->> 'invoice', v_kind,
      apply_invoice.fact ->> 'price', apply_invoice.fact ->> 'from_price',
      billing.second_of(apply_invoice.fact, 'starts_at'), billing.second_of(apply_invoice.fact, 'ends_at'), v_payment,
      apply_invoice.caused_by);
  end if;
  for v_intent in
    select x.id from jsonb_array_elements_text(coalesce(apply_invoice.fact -> 'payment_intents', '[]')) x(id)
  loop
    perform payments.link_intent(apply_invoice.provider, v_intent, v_payment);
  end loop;
  -- Told again, it is not measured by a policy that came later.
  if not v_known then
    perform payments.reward_referrer(v_payment, apply_invoice.caused_by);
  end if;
  perform payments.reckon(v_payment, apply_invoice.caused_by);
  return v_outcome;
end
$$;
