-- messages.create_endpoint: an address of the operator's that is told of events of these types from now on.
-- Guarantees: an audit row in the same statement. Whether the address may be asked at all is the caller's to know.
-- Callers: worker
create or replace function messages.create_endpoint(
  inout url text,
  inout description text,
  inout events text[],
  caused_by text,
  out id uuid,
  out secret_number integer,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  create_endpoint.id := uuidv7();
  create_endpoint.secret_number := 1;
  create_endpoint.created_at := ops.now();
  insert into messages.endpoint (id, url, description, events, secret_number, created_at)
  values (create_endpoint.id, create_endpoint.url, create_endpoint.description, create_endpoint.events,
          create_endpoint.secret_number, create_endpoint.created_at);
  perform ops.record_change(
    workspace_id => null, actor => create_endpoint.caused_by, action => 'webhook_endpoint.create',
    subject => 'webhook_endpoint:' || create_endpoint.id,
    detail => jsonb_build_object('url', create_endpoint.url, 'events', create_endpoint.events));
end
$$;
