-- payments.record_customer: the provider made (or had) this customer for the claim's holder. Written once: whoever comes later
-- is answered the one that stands. Events that waited for it are due at once.
-- Refuses: not_found, constraint customer_provider_id_once. Locks: the workspace, then the customer. Callers: worker
create or replace function payments.record_customer(
  inout workspace_id uuid,
  number integer,
  token uuid,
  inout customer text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_given text := record_customer.customer;
begin
  perform people.lock_workspace(record_customer.workspace_id);
  update payments.customer c
     set provider_id = v_given, lease_token = null, leased_until = null
   where c.workspace_id = record_customer.workspace_id and c.provider = 'stripe' and c.number = record_customer.number
     and c.provider_id is null and c.lease_token = record_customer.token;
  if found then
    perform ops.wake_events('customer:' || v_given);
    return;
  end if;
  select c.provider_id into record_customer.customer
    from payments.customer c
   where c.workspace_id = record_customer.workspace_id and c.provider = 'stripe' and c.number = record_customer.number;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
