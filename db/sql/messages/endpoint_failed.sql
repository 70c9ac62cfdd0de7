-- messages.endpoint_failed: messages.channel_failed, of one of the operator's endpoints. One that took nothing for five days, the time
-- in which a message is given up and more, is disabled. Locks: the endpoint's row. Callers: messages.fail
create or replace function messages.endpoint_failed(endpoint_id uuid, error text, retry_after interval)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_endpoint record;
begin
  update messages.endpoint e
     set failures = e.failures + 1, error = endpoint_failed.error, failing_since = coalesce(e.failing_since, v_now),
         open_until = greatest(e.open_until, v_now + messages.rest_of(e.failures + 1, endpoint_failed.retry_after))
   where e.id = endpoint_failed.endpoint_id
  returning e.open_until, e.failing_since into v_endpoint;
  if v_endpoint.failing_since <= v_now - interval '5 days' then
    perform messages.disable_endpoint(endpoint_failed.endpoint_id, 'failing', endpoint_failed.error);
    return true;
  end if;
  return coalesce(v_endpoint.open_until > v_now, false);
end
$$;
