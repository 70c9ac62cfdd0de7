-- payments.cancel_purchase: somebody wants a purchase cancelled. It is, once the provider has ended its session (`session_id`), which
-- is asked for after this: until then it may still be paid. One that is paid by hand is canceled at once. One that is over stays as
-- it is. Locks: the workspace, then the purchase, the redemption, the accounts of code and campaign. Refuses: not_found (another workspace's too). Callers: worker
create or replace function payments.cancel_purchase(
  workspace_id uuid,
  inout id uuid,
  caused_by text default 'sync',
  out state text,
  out session_id text,
  out provider text
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform people.lock_workspace(cancel_purchase.workspace_id);
  update payments.purchase p set canceled_at = ops.now()
   where p.id = cancel_purchase.id and p.workspace_id = cancel_purchase.workspace_id and p.state = 'pending'
     and p.canceled_at is null;
  if found then
    perform payments.end_purchase(cancel_purchase.id, 'canceled', cancel_purchase.caused_by);
  end if;
  select p.state, p.provider_id, p.provider into cancel_purchase.state, cancel_purchase.session_id, cancel_purchase.provider
    from payments.purchase p
   where p.id = cancel_purchase.id and p.workspace_id = cancel_purchase.workspace_id;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
