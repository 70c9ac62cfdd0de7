-- messages.contact_takes: does this contact want messages of this kind, and take any? Callers: messages.still_holds
create or replace function messages.contact_takes(contact_id uuid, kind text)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  return exists (
    select from messages.contact c
     where c.id = contact_takes.contact_id and c.silenced_at is null
       and not c.opt_outs && array['*', contact_takes.kind]);
end
$$;
