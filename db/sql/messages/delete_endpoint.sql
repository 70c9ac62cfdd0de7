-- messages.delete_endpoint: an endpoint is told nothing any more, neither what waits. Its log stays. Doing it again changes nothing.
-- Guarantees: an audit row in the same statement, once; its alarms close. Refuses: not_found.
-- Locks: the endpoint. Callers: worker
create or replace function messages.delete_endpoint(
  inout id uuid,
  caused_by text,
  out deleted_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update messages.endpoint e set deleted_at = ops.now()
   where e.id = delete_endpoint.id and e.deleted_at is null
  returning e.deleted_at into delete_endpoint.deleted_at;
  if found then
    perform ops.close_alarm('endpoint_disabled', delete_endpoint.id::text);
    perform ops.close_alarm('endpoint_failing', delete_endpoint.id::text);
    perform ops.record_change(
      workspace_id => null, actor => delete_endpoint.caused_by, action => 'webhook_endpoint.delete',
      subject => 'webhook_endpoint:' || delete_endpoint.id, detail => '{}');
    return;
  end if;
  select e.deleted_at into delete_endpoint.deleted_at from messages.endpoint e where e.id = delete_endpoint.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
