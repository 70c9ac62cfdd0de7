-- payments.sync_checkout: what the provider answered when it was asked for a purchase's session. A null fact: it has none: the
-- purchase is over, if it never had one, or a day after that one had to be over (of another account's, nobody will ever tell).
-- Locks: as payments.apply_checkout. Refuses: not_found. Callers: worker
create or replace function payments.sync_checkout(
  inout id uuid,
  fact jsonb,
  out state text
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
     where p.id = sync_checkout.id and p.provider = 'stripe' and p.state = 'pending'
       and (p.provider_id is null and (p.leased_until is null or p.leased_until <= ops.now())
         or p.expires_at + interval '1 day' <= ops.now());
    if found then
      perform payments.release_redemption(sync_checkout.id, 'sync');
      perform billing.drop_trial(sync_checkout.id);
    end if;
  else
    perform payments.apply_checkout(v_row.provider, sync_checkout.fact, 'sync');
  end if;
  select p.state into strict sync_checkout.state from payments.purchase p where p.id = sync_checkout.id;
end
$$;
