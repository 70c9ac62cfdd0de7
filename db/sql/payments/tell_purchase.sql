-- payments.tell_purchase: trigger function: tells the operator's endpoints what became of a purchase: purchase.created, and its state
-- from then on (purchase.paid, .expired, .canceled, .partly_refunded, .refunded). Callers: triggers
create or replace function payments.tell_purchase()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if messages.listens('purchase') then
    perform messages.tell(
      case when tg_op = 'INSERT' and new.state = 'pending' then 'purchase.created' else 'purchase.' || new.state end,
      new.workspace_id, new.id::text, new.version,
      jsonb_build_object('state', new.state, 'kind', new.kind, 'provider', new.provider, 'quantity', new.quantity,
        'amount_minor', new.amount_minor, 'currency', new.currency, 'subscription_id', new.subscription_id,
        'payment_id', new.payment_id, 'expires_at', ops.utc(new.expires_at), 'ended_at', ops.utc(new.ended_at)));
  end if;
  return null;
end
$$;
