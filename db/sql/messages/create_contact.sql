-- messages.create_contact: where a workspace's customer is reached. Of one channel an address is there once, and a workspace has 100
-- contacts at most: one notice becomes a message to each.
-- Guarantees: an audit row in the same statement, without the address; never more contacts, whoever adds some at once.
-- Refuses: not_found (workspace), contact_exists (with its id), contact_limit_reached (with the limit); constraints contact_*.
-- Locks: the workspace, then what joins the channel (advisory, shared: who starts a broadcast waits for it). Callers: worker
create or replace function messages.create_contact(
  inout workspace_id uuid,
  inout channel text,
  inout address text,
  inout language text,
  inout opt_outs text[],
  caused_by text,
  out id uuid,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  c_most constant integer := 100;
begin
  if not people.lock_workspace(create_contact.workspace_id) then
    perform ops.refuse('not_found');
  end if;
  -- Before the clock is read: a start that goes first has an earlier started_at.
  perform pg_advisory_xact_lock_shared(hashtextextended('messages.joins:' || create_contact.channel, 0));
  create_contact.id := uuidv7();
  create_contact.created_at := ops.now();
  insert into messages.contact (id, workspace_id, channel, address, language, opt_outs, created_at)
  values (create_contact.id, create_contact.workspace_id, create_contact.channel, create_contact.address, create_contact.language,
          create_contact.opt_outs, create_contact.created_at)
  on conflict on constraint contact_once do nothing;
  if not found then
    perform ops.refuse('contact_exists', jsonb_build_object('contact_id', (
      select c.id from messages.contact c
       where c.workspace_id = create_contact.workspace_id and c.channel = create_contact.channel
         and c.address = create_contact.address)));
  end if;
  if (select count(*) from messages.contact c where c.workspace_id = create_contact.workspace_id) > c_most then
    perform ops.refuse('contact_limit_reached', jsonb_build_object('limit', c_most));
  end if;
  perform ops.record_change(
    workspace_id => create_contact.workspace_id, actor => create_contact.caused_by, action => 'contact.create',
    subject => 'contact:' || create_contact.id, detail => jsonb_build_object('channel', create_contact.channel));
end
$$;
