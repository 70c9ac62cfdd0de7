-- messages.disable_endpoint: an endpoint is told nothing any more until a person enables it: it says that it is gone (`gone`), or nothing
-- could be delivered to it for long (`failing`). Under an alarm, which stands for that of its failing. What waits for it is canceled when it
-- is claimed. Disabled already, or deleted, it stays as it is. Locks: the endpoint. Callers: messages.fail, messages.endpoint_failed
create or replace function messages.disable_endpoint(endpoint_id uuid, reason text, error text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update messages.endpoint e
     set disabled_at = ops.now(), disabled_reason = disable_endpoint.reason, error = disable_endpoint.error
   where e.id = disable_endpoint.endpoint_id and e.disabled_at is null and e.deleted_at is null;
  if found then
    perform ops.raise_alarm('endpoint_disabled', disable_endpoint.endpoint_id::text,
      jsonb_build_object('reason', disable_endpoint.reason, 'error', disable_endpoint.error));
    perform ops.close_alarm('endpoint_failing', disable_endpoint.endpoint_id::text);
  end if;
end
$$;
