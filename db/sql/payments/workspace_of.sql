-- payments.workspace_of: whose customer this is at the provider, deleted ones too; null: nobody's that is known here. The
-- customer's row decides, and never what an event's metadata say. Callers: billing's and payments' routines
create or replace function payments.workspace_of(provider text, customer text)
  returns uuid
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return (
    select c.workspace_id from payments.customer c
     where c.provider = workspace_of.provider and c.provider_id = workspace_of.customer);
end
$$;
