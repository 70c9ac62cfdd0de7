-- messages.send_again: an event goes to an endpoint (once more): what waits is due now, what could not be sent is tried anew, and
-- what was delivered or canceled, or never was to go there, gets a message of its own. Its receiver knows it by the event's id, the same
-- every time. Answers the message. Guarantees: what is being sent at this moment is left to its sender.
-- Locks: the message. Callers: messages.test_endpoint, messages.replay_event
create or replace function messages.send_again(event_id uuid, endpoint_id uuid)
  returns uuid
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_name text := send_again.event_id || ':' || send_again.endpoint_id;
  v_id uuid := uuidv7();
  v_message record;
begin
  select o.id, o.state into v_message
    from messages.outbox o
   where o.channel = 'webhook' and o.dedupe_key = v_name
     for no key update;
  if v_message.state = 'dead' then
    update messages.outbox o set state = 'queued', due_at = ops.now(), attempts = 0, settled_at = null where o.id = v_message.id;
    return v_message.id;
  elsif v_message.state = 'queued' then
    update messages.outbox o set due_at = ops.now() where o.id = v_message.id;
    return v_message.id;
  elsif v_message.state = 'sending' then
    return v_message.id;
  end if;
  insert into messages.outbox
    (id, channel, kind, workspace_id, dedupe_key, body, state, due_at, created_at, endpoint_id)
  select v_id, 'webhook', w.type, w.workspace_id, case when v_message.id is null then v_name else v_name || ':' || v_id end,
         jsonb_build_object('event_id', w.id), 'queued', ops.now(), ops.now(), send_again.endpoint_id
    from messages.webhook_event w
   where w.id = send_again.event_id
  on conflict on constraint outbox_dedupe_once do nothing;
  if not found then
    -- Somebody else has just made it: theirs is as good.
    select o.id into strict v_id from messages.outbox o where o.channel = 'webhook' and o.dedupe_key = v_name;
  end if;
  return v_id;
end
$$;
