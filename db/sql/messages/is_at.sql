-- messages.is_at: is this endpoint still where it was asked? What its old address says after a move says nothing of it. Callers: messages.fail
create or replace function messages.is_at(endpoint_id uuid, url text)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  return exists (
    select from messages.endpoint e
     where e.id = is_at.endpoint_id and (is_at.url is null or e.url = is_at.url));
end
$$;
