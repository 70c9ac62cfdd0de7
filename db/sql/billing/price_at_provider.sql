-- billing.price_at_provider: the provider's id of a price. Callers: payments.claim_checkout
create or replace function billing.price_at_provider(price_id uuid)
  returns text
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return (select p.provider_id from billing.price p where p.id = price_at_provider.price_id);
end
$$;
