-- billing.publish_price: the provider has this price under this id. Events that waited for it are due at once. Publishing again
-- changes nothing; another id takes the place of the first only by a person's doing at the provider.
-- Refuses: not_found, constraint price_provider_id_once. Callers: the command `npm run stripe:setup`
create or replace function billing.publish_price(
  inout lookup_key text,
  inout provider_id text
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update billing.price p set provider_id = publish_price.provider_id where p.lookup_key = publish_price.lookup_key;
  if not found then
    perform ops.refuse('not_found');
  end if;
  perform ops.wake_events('price:' || publish_price.provider_id);
end
$$;
