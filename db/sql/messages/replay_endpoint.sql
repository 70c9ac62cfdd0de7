-- messages.replay_endpoint: what could not be delivered to an endpoint (dead) since an instant is tried anew, the oldest first, a
-- thousand a call: called again, it takes the next. Guarantees: an audit row in the same statement.
-- Refuses: not_found (also of one that was deleted), endpoint_disabled. Locks: the messages, by id. Callers: worker
create or replace function messages.replay_endpoint(
  inout id uuid,
  since timestamptz,
  caused_by text,
  out replayed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_disabled_at timestamptz;
begin
  select e.disabled_at into v_disabled_at
    from messages.endpoint e
   where e.id = replay_endpoint.id and e.deleted_at is null;
  if not found then
    perform ops.refuse('not_found');
  elsif v_disabled_at is not null then
    perform ops.refuse('endpoint_disabled');
  end if;
  with dead as materialized (
    select o.id from messages.outbox o
     where o.channel = 'webhook' and o.state = 'dead' and o.endpoint_id = replay_endpoint.id
       and o.created_at >= replay_endpoint.since
     order by o.id
     limit 1000
       for no key update
  )
  update messages.outbox o set state = 'queued', due_at = (select ops.now()), attempts = 0, settled_at = null
    from dead
   where o.id = dead.id;
  get diagnostics replay_endpoint.replayed = row_count;
  replay_endpoint.more := replay_endpoint.replayed = 1000;
  perform ops.record_change(
    workspace_id => null, actor => replay_endpoint.caused_by, action => 'webhook_endpoint.replay',
    subject => 'webhook_endpoint:' || replay_endpoint.id,
    detail => jsonb_build_object('since', ops.utc(replay_endpoint.since), 'replayed', replay_endpoint.replayed));
end
$$;
