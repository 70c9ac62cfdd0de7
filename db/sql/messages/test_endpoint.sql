-- messages.test_endpoint: an event of type `webhook.test` for one endpoint, whatever it listens to, and whether its circuit is open or
-- not the same as any other. It is an event of its own: it is its own resource, in version 1.
-- Refuses: not_found (also of one that was deleted), endpoint_disabled. Callers: worker
create or replace function messages.test_endpoint(
  endpoint_id uuid,
  out event_id uuid,
  out delivery_id uuid
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_disabled_at timestamptz;
begin
  select e.disabled_at into v_disabled_at
    from messages.endpoint e
   where e.id = test_endpoint.endpoint_id and e.deleted_at is null;
  if not found then
    perform ops.refuse('not_found');
  elsif v_disabled_at is not null then
    perform ops.refuse('endpoint_disabled');
  end if;
  test_endpoint.event_id := uuidv7();
  insert into messages.webhook_event (id, type, workspace_id, resource, resource_version, data, created_at)
  values (test_endpoint.event_id, 'webhook.test', null, test_endpoint.event_id::text, 1,
          jsonb_build_object('id', test_endpoint.event_id, 'version', 1, 'workspace_id', null,
            'endpoint_id', test_endpoint.endpoint_id), ops.now());
  test_endpoint.delivery_id := messages.send_again(test_endpoint.event_id, test_endpoint.endpoint_id);
end
$$;
