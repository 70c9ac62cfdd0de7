-- messages.contact_takes: may a contact be sent a message of this kind, now? It is there, is not silenced, and has neither opted out nor left.
-- Callers: messages.still_holds
create or replace function messages.contact_takes(contact_id uuid, kind text)
  returns boolean
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return exists (
    select from messages.contact c
     where c.id = contact_takes.contact_id and c.silenced_at is null and messages.wants(c.opt_outs, c.left_at, contact_takes.kind));
end
$$;
