-- payments.compare_customer: a customer that lives here and not at the provider. `deleted`: it was deleted there, which is done here
-- too. `unknown`: the provider never had it (another account's key?), and an alarm says so.
-- Locks: as payments.apply_customer_deleted. Callers: worker
create or replace function payments.compare_customer(
  inout customer text,
  provider text,
  deleted boolean,
  out outcome text
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if compare_customer.deleted then
    perform payments.apply_customer_deleted(compare_customer.provider, compare_customer.customer);
    compare_customer.outcome := 'deleted';
  else
    perform ops.raise_alarm('customer_unknown_there', compare_customer.customer, '{}');
    compare_customer.outcome := 'unknown';
  end if;
end
$$;
