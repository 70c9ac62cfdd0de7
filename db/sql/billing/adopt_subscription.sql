-- billing.adopt_subscription: a subscription that lives at the provider and that nobody knows here. `adopted`: its customer is ours,
-- and it is to be fetched; `unknown`: it is nobody's of ours, and an alarm says so.
-- Locks: the workspace, then the subscription. Callers: worker
create or replace function billing.adopt_subscription(
  inout subscription text,
  provider text,
  customer text,
  out outcome text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_workspace uuid := payments.workspace_of(adopt_subscription.provider, adopt_subscription.customer);
begin
  if v_workspace is null then
    perform ops.raise_alarm('subscription_unknown_here', adopt_subscription.subscription,
      jsonb_build_object('customer', adopt_subscription.customer));
    adopt_subscription.outcome := 'unknown';
    return;
  end if;
  perform people.lock_workspace(v_workspace);
  perform billing.ensure_subscription(v_workspace, adopt_subscription.subscription);
  perform ops.close_alarm('subscription_unknown_here', adopt_subscription.subscription);
  adopt_subscription.outcome := 'adopted';
end
$$;
