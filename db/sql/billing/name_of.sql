-- billing.name_of: what is sold at this price is called. Callers: payments.quote, payments.claim_checkout
create or replace function billing.name_of(price_id uuid)
  returns text
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return (
    select coalesce(p.name, k.name)
      from billing.price r
      left join billing.plan p on p.id = r.plan_id
      left join billing.pack k on k.id = r.pack_id
     where r.id = name_of.price_id);
end
$$;
