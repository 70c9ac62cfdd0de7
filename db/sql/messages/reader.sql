-- messages.reader: whom a page is for that stops broadcasts: in which language it is written to, and whether it hears of broadcasts. Null
-- where the contact is gone. Locks: nothing. Callers: worker
create or replace function messages.reader(inout contact_id uuid, out language text, out hears boolean)
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select c.language, messages.wants(c.opt_outs, 'broadcast.*') into reader.language, reader.hears
    from messages.contact c where c.id = reader.contact_id;
end
$$;
