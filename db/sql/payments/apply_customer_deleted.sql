-- payments.apply_customer_deleted: the customer is gone at the provider: the workspace's next checkout makes another. Its row
-- stays: what it paid is still the workspace's. Locks: the workspace, then the customer. Callers: ops.apply_event
create or replace function payments.apply_customer_deleted(provider text, customer text)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_workspace uuid := payments.workspace_of(apply_customer_deleted.provider, apply_customer_deleted.customer);
begin
  if v_workspace is null then
    return 'not_ours';
  end if;
  perform people.lock_workspace(v_workspace);
  update payments.customer c set deleted_at = ops.now(), lease_token = null, leased_until = null
   where c.provider = apply_customer_deleted.provider and c.provider_id = apply_customer_deleted.customer
     and c.deleted_at is null;
  return case when found then 'deleted' else 'known' end;
end
$$;
