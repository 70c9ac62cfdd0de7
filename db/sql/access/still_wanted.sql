-- access.still_wanted: is the provisioner still to do what this message asks? A key is added while it lives, removed while it is to go.
-- Callers: messages.still_holds
create or replace function access.still_wanted(kind text, body jsonb)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  return exists (
    select from access.key k
     where k.id = (still_wanted.body->>'key_id')::uuid
       and case still_wanted.kind when 'add_key' then k.state in ('pending', 'active') else k.state = 'removing' end);
end
$$;
