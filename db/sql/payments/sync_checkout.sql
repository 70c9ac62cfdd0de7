-- payments.sync_checkout: what the provider answered when it was asked for a purchase's session. A null fact: it has none: the
-- purchase is over, if it never had one, or a day after that one had to be over (of another account's, nobody will ever tell).
-- `asked_at`: when it was asked. Answers the purchase's session as it is known then. Locks: as payments.apply_checkout and payments.apply_btcpay_invoice. Refuses: not_found.
-- Callers: worker
create or replace function payments.sync_checkout(
  inout id uuid,
  fact jsonb,
  asked_at timestamptz default null,
  out state text,
  out session_id text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  select p.workspace_id, p.provider into v_row from payments.purchase p where p.id = sync_checkout.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
  if sync_checkout.fact is null then
    perform people.lock_workspace(v_row.workspace_id);
    update payments.purchase p
       set state = case when p.canceled_at is null then 'expired' else 'canceled' end, ended_at = ops.now(), url = null,
           check_due_at = null, lease_token = null
     where p.id = sync_checkout.id and p.provider in ('stripe', 'btcpay') and p.state = 'pending'
       and (p.provider_id is null and (p.leased_until is null or p.leased_until <= ops.now())
         or p.expires_at + interval '1 day' <= ops.now());
    if found then
      perform payments.release_redemption(sync_checkout.id, 'sync');
      perform billing.drop_trial(sync_checkout.id);
    else
      -- One that is over and may still be paid late.
      update payments.purchase p
         set check_due_at = case when p.expires_at + interval '7 days' > ops.now() then ops.now() + interval '6 hours' end
       where p.id = sync_checkout.id and p.provider = 'btcpay' and p.state <> 'pending';
    end if;
  elsif v_row.provider = 'btcpay' then
    perform payments.apply_btcpay_invoice(v_row.provider, sync_checkout.fact, 'sync', sync_checkout.asked_at);
  else
    perform payments.apply_checkout(v_row.provider, sync_checkout.fact, 'sync');
  end if;
  select p.state, p.provider_id into strict sync_checkout.state, sync_checkout.session_id from payments.purchase p where p.id = sync_checkout.id;
end
$$;
