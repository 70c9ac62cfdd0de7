-- messages.move_broadcast: a person starts, stops or resumes a broadcast. It is for those who were contacts when it started, and says to
-- all of them what its texts were then: a start waits until whoever and whatever was being added to its channel is there or refused, and
-- what comes after has a later created_at. Stopped, what is queued of it and nobody is sending waits; resumed, that is due at once, and
-- the rest follows from where it had come. Doing it again changes nothing.
-- Guarantees: an audit row in the same statement, once. Refuses: not_found; broadcast_moved_on (with its state); at the start, as
--   messages.demand_template. Locks: the broadcast, then its messages, in the order of their ids; at the start, after the
--   broadcast, what joins its channel (advisory). Callers: worker
create or replace function messages.move_broadcast(
  inout id uuid,
  move text,
  caused_by text,
  out state text,
  out started_at timestamptz,
  own jsonb default '{}'
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz;
  v_from text := case move_broadcast.move when 'start' then 'draft' when 'stop' then 'running' else 'stopped' end;
  v_to text := case move_broadcast.move when 'stop' then 'stopped' else 'running' end;
  v_row record;
begin
  select b.state, b.started_at, b.channel, b.kind, b.data into v_row
    from messages.broadcast b where b.id = move_broadcast.id
     for no key update;
  if not found then
    perform ops.refuse('not_found');
  elsif v_row.state = v_to then
    move_broadcast.state := v_row.state;
    move_broadcast.started_at := v_row.started_at;
    return;
  elsif v_row.state <> v_from then
    perform ops.refuse('broadcast_moved_on', jsonb_build_object('state', v_row.state));
  elsif move_broadcast.move = 'start' then
    perform pg_advisory_xact_lock(hashtextextended('messages.joins:' || v_row.channel, 0));
    perform messages.demand_template(v_row.channel, v_row.kind, v_row.data, move_broadcast.own);
  end if;
  v_now := ops.now();
  update messages.broadcast b
     set state = v_to, started_at = coalesce(b.started_at, v_now), due_at = case v_to when 'running' then v_now end
   where b.id = move_broadcast.id
  returning b.state, b.started_at into move_broadcast.state, move_broadcast.started_at;
  if move_broadcast.move <> 'start' then
    with waiting as materialized (
      select o.id from messages.outbox o
       where o.broadcast_id = move_broadcast.id and o.state = 'queued'
       order by o.id
         for no key update
    )
    update messages.outbox o
       set due_at = case v_to when 'stopped' then greatest(o.due_at, v_now + interval '1 day') else v_now end
      from waiting w where o.id = w.id;
  end if;
  perform ops.record_change(
    workspace_id => null, actor => move_broadcast.caused_by, action => 'broadcast.' || move_broadcast.move,
    subject => 'broadcast:' || move_broadcast.id, detail => '{}');
end
$$;
