-- messages.delete_contact: nobody writes to this address any more: what waits for it is canceled when it is claimed.
-- Guarantees: an audit row in the same statement. Refuses: not_found. Locks: the contact. Callers: worker
create or replace function messages.delete_contact(
  inout workspace_id uuid,
  inout id uuid,
  caused_by text,
  out deleted_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  delete from messages.contact c where c.id = delete_contact.id and c.workspace_id = delete_contact.workspace_id;
  if not found then
    perform ops.refuse('not_found');
  end if;
  delete_contact.deleted_at := ops.now();
  perform ops.record_change(
    workspace_id => delete_contact.workspace_id, actor => delete_contact.caused_by, action => 'contact.delete',
    subject => 'contact:' || delete_contact.id, detail => '{}');
end
$$;
