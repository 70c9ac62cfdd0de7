-- payments.record_renewals: periods of subscriptions that were paid from their workspaces' balances, as payments of provider
-- `balance`, in one statement. The caller has taken the money. A reference that was used is a fault, and fails all of it.
-- Locks: the caller holds the workspaces. Callers: billing.renew_due
create or replace function payments.record_renewals(
  ids uuid[],
  workspace_ids uuid[],
  subscription_ids uuid[],
  refs text[],
  amounts bigint[],
  currencies text[],
  paid_at timestamptz
)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
begin
  insert into payments.payment
    (id, workspace_id, provider, reference, subscription_id, amount_minor, currency, paid_at, created_at)
  select n.id, n.workspace_id, 'balance', n.reference, n.subscription_id, n.amount_minor, n.currency, record_renewals.paid_at,
         v_now
    from unnest(record_renewals.ids, record_renewals.workspace_ids, record_renewals.subscription_ids, record_renewals.refs,
           record_renewals.amounts, record_renewals.currencies)
      n(id, workspace_id, subscription_id, reference, amount_minor, currency);
end
$$;
