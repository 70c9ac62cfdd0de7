-- messages.endpoint_takes: is an endpoint still to be told anything? One that was disabled or deleted is not.
-- Callers: messages.still_holds
create or replace function messages.endpoint_takes(endpoint_id uuid)
  returns boolean
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return exists (
    select from messages.endpoint e
     where e.id = endpoint_takes.endpoint_id and e.disabled_at is null and e.deleted_at is null);
end
$$;
