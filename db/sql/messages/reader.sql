-- messages.reader: whom a page is for that stops broadcasts: in which language it is written to, and whether he has left them already. Null
-- where the contact is gone. Locks: nothing. Callers: worker
create or replace function messages.reader(inout contact_id uuid, out language text, out has_left boolean)
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select c.language, c.left_at is not null into reader.language, reader.has_left
    from messages.contact c where c.id = reader.contact_id;
end
$$;
