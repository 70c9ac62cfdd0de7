-- messages.unsubscribe: who reads a contact's messages wants no broadcast any more, whichever he left by (`kind`): `left_at`, which no
-- change of opt-outs takes back, and which counts for what was not sent yet, too. One that has left, or is gone (its language is null), stays as
-- it is. Guarantees: an audit row in the same statement, once, by the contact itself. Locks: the contact. Callers: worker
create or replace function messages.unsubscribe(inout contact_id uuid, kind text, out language text, out changed boolean)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_contact record;
begin
  update messages.contact c
     set left_at = ops.now(), leavings = c.leavings + 1
   where c.id = unsubscribe.contact_id and c.left_at is null
  returning c.workspace_id, c.language into v_contact;
  unsubscribe.changed := found;
  if not found then
    select c.language into unsubscribe.language from messages.contact c where c.id = unsubscribe.contact_id;
    return;
  end if;
  unsubscribe.language := v_contact.language;
  perform ops.record_change(
    workspace_id => v_contact.workspace_id, actor => 'contact:' || unsubscribe.contact_id, action => 'contact.unsubscribe',
    subject => 'contact:' || unsubscribe.contact_id, detail => jsonb_build_object('kind', unsubscribe.kind));
end
$$;
