-- messages.rotate_endpoint: an endpoint's next secret counts from now on; the one before counts beside it until `keep` has passed, and
-- any that is older no longer. Guarantees: an audit row in the same statement. Refuses: not_found (also of one that was deleted).
-- Locks: the endpoint. Callers: worker
create or replace function messages.rotate_endpoint(
  inout id uuid,
  keep interval,
  caused_by text,
  out secret_number integer,
  out secret_old_until timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update messages.endpoint e
     set secret_number = e.secret_number + 1, secret_old_until = ops.now() + rotate_endpoint.keep
   where e.id = rotate_endpoint.id and e.deleted_at is null
  returning e.secret_number, e.secret_old_until into rotate_endpoint.secret_number, rotate_endpoint.secret_old_until;
  if not found then
    perform ops.refuse('not_found');
  end if;
  perform ops.record_change(
    workspace_id => null, actor => rotate_endpoint.caused_by, action => 'webhook_endpoint.rotate',
    subject => 'webhook_endpoint:' || rotate_endpoint.id,
    detail => jsonb_build_object('secret_number', rotate_endpoint.secret_number,
      'old_until', ops.utc(rotate_endpoint.secret_old_until)));
end
$$;
