-- messages.retry: a person has a dead message sent again: its tries begin anew. One that is not dead stays as it is.
-- Guarantees: an audit row in the same statement, where it was dead; its alarm closes, and, with the last one of its
-- channel, the channel's. Refuses: not_found. Locks: the message, then the alarm. Callers: worker
create or replace function messages.retry(
  inout id uuid,
  caused_by text,
  out state text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_message record;
begin
  update messages.outbox o set state = 'queued', due_at = ops.now(), attempts = 0, settled_at = null
   where o.id = retry.id and o.state = 'dead'
  returning o.kind, o.workspace_id, o.channel, o.contact_id into v_message;
  if found then
    perform ops.close_alarm('message_dead', retry.id::text);
    if v_message.contact_id is not null then
      perform messages.none_dead(v_message.channel);
    end if;
    perform ops.record_change(
      workspace_id => v_message.workspace_id, actor => retry.caused_by, action => 'message.retry',
      subject => 'message:' || retry.id, detail => jsonb_build_object('kind', v_message.kind));
  end if;
  select o.state into retry.state from messages.outbox o where o.id = retry.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
