-- access.still_wanted: is what a message asks of the provisioner still to be done? A key is added while it is to be there, removed
-- while it is not, and a stray while no row stands for it. Callers: messages.still_holds
create or replace function access.still_wanted(kind text, body jsonb)
  returns boolean
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return case still_wanted.kind
    when 'add_key' then exists (
      select from access.key k where k.id = (still_wanted.body ->> 'key_id')::uuid and k.state in ('pending', 'active'))
    when 'remove_key' then exists (
      select from access.key k where k.id = (still_wanted.body ->> 'key_id')::uuid and k.state = 'removing')
    when 'remove_stray' then not exists (
      select from access.key k where k.key = (still_wanted.body ->> 'key')::uuid and k.state <> 'removed')
    else false end;
end
$$;
