-- payments.abandon_checkout: the provider refused to make the purchase's session, for good: it is over, so that the next one may be
-- another. Guarantees: only the claim's holder says so; its promo code's redemption is another's again. Locks: the workspace, then
-- the purchase, the redemption, the accounts of code and campaign. Refuses: not_found.
-- Callers: worker
create or replace function payments.abandon_checkout(
  inout id uuid,
  token uuid,
  out state text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_workspace uuid;
begin
  select p.workspace_id into v_workspace from payments.purchase p where p.id = abandon_checkout.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
  perform people.lock_workspace(v_workspace);
  update payments.purchase p
     set state = 'canceled', ended_at = ops.now(), check_due_at = null, lease_token = null, leased_until = null
   where p.id = abandon_checkout.id and p.state = 'pending' and p.provider_id is null
     and p.lease_token = abandon_checkout.token;
  if found then
    perform payments.release_redemption(abandon_checkout.id, 'sync');
    perform billing.drop_trial(abandon_checkout.id);
  end if;
  select p.state into strict abandon_checkout.state from payments.purchase p where p.id = abandon_checkout.id;
end
$$;
