-- billing.pack_quantity: how many credits or tokens a pack's version holds. Callers: payments.quote, payments.deliver
create or replace function billing.pack_quantity(pack_id uuid)
  returns bigint
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return (select p.quantity from billing.pack p where p.id = pack_quantity.pack_id);
end
$$;
