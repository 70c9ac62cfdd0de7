-- messages.create_broadcast: one message to many is drafted: by which text, with which data, to whom (messages.recipients). Nothing is sent
-- before it is started. Guarantees: an audit row in the same statement. Refuses: as messages.demand_template; constraints broadcast_*.
-- Callers: worker
create or replace function messages.create_broadcast(
  inout name text,
  inout channel text,
  inout kind text,
  inout segment jsonb,
  inout data jsonb,
  caused_by text,
  out id uuid,
  out state text,
  out created_at timestamptz,
  own jsonb default '{}'
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform messages.demand_template(create_broadcast.channel, create_broadcast.kind, create_broadcast.data, create_broadcast.own);
  create_broadcast.id := uuidv7();
  create_broadcast.state := 'draft';
  create_broadcast.created_at := ops.now();
  insert into messages.broadcast (id, name, channel, kind, segment, data, state, created_at)
  values (create_broadcast.id, create_broadcast.name, create_broadcast.channel, create_broadcast.kind, create_broadcast.segment,
          create_broadcast.data, create_broadcast.state, create_broadcast.created_at);
  perform ops.record_change(
    workspace_id => null, actor => create_broadcast.caused_by, action => 'broadcast.create',
    subject => 'broadcast:' || create_broadcast.id,
    detail => jsonb_build_object('name', create_broadcast.name, 'channel', create_broadcast.channel, 'kind', create_broadcast.kind,
      'segment', create_broadcast.segment));
end
$$;
