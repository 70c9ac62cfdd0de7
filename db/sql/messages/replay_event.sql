-- messages.replay_event: an operator has an event sent again: to one endpoint, whatever it listens to, or (null) to all that listen
-- to its type. Guarantees: under the same id as the first time; an audit row in the same statement.
-- Refuses: not_found (the event, or the endpoint: also one that was deleted), endpoint_disabled. Locks: the messages, by endpoint.
-- Callers: worker
create or replace function messages.replay_event(
  inout id uuid,
  endpoint_id uuid,
  caused_by text,
  out endpoint_ids uuid[],
  out delivery_ids uuid[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_type text;
  v_workspace_id uuid;
  v_endpoint record;
begin
  select w.type, w.workspace_id into v_type, v_workspace_id from messages.webhook_event w where w.id = replay_event.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
  if replay_event.endpoint_id is not null then
    select e.disabled_at into v_endpoint
      from messages.endpoint e
     where e.id = replay_event.endpoint_id and e.deleted_at is null;
    if not found then
      perform ops.refuse('not_found');
    elsif v_endpoint.disabled_at is not null then
      perform ops.refuse('endpoint_disabled');
    end if;
  end if;
  replay_event.endpoint_ids := '{}';
  replay_event.delivery_ids := '{}';
  for v_endpoint in
    select e.id from messages.endpoint e
     where e.disabled_at is null and e.deleted_at is null
       and (e.id = replay_event.endpoint_id
         or replay_event.endpoint_id is null and e.events && array['*', v_type, split_part(v_type, '.', 1) || '.*'])
     order by e.id
  loop
    replay_event.endpoint_ids := replay_event.endpoint_ids || v_endpoint.id;
    replay_event.delivery_ids := replay_event.delivery_ids || messages.send_again(replay_event.id, v_endpoint.id);
  end loop;
  perform ops.record_change(
    workspace_id => v_workspace_id, actor => replay_event.caused_by, action => 'webhook_event.replay',
    subject => 'webhook_event:' || replay_event.id, detail => jsonb_build_object('endpoints', replay_event.endpoint_ids));
end
$$;
