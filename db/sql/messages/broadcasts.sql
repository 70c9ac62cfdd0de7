-- messages.broadcasts: the next `batch` contacts of one broadcast that runs, in the order of their ids: those whom it is for (decided now,
-- for a segment may change) get a message. As many wait to be sent as a pump sends in a minute or two: so that a stop is quick, and what
-- else is to be said does not wait behind it. It is done when its last message has gone its way.
-- Guarantees: one message per broadcast and contact, whoever runs at once and dies wherever: the position moves with the messages, and
--   their key is made of both. Run again at once, it goes on. A broadcast that fails is parked alone with its error. An error of the moment
--   is raised again.
-- Locks: the broadcast, SKIP LOCKED. Callers: worker (sweep broadcasts)
create or replace function messages.broadcasts(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  c_waiting constant integer := 500;
  v_now timestamptz := ops.now();
  v_broadcast record;
  v_state text;
  v_error text;
begin
  broadcasts.processed := 0;
  broadcasts.failed := 0;
  select b.id, b.channel, b.kind, b.segment, b.data, b.position, b.started_at into v_broadcast
    from messages.broadcast b
   where b.due_at <= v_now
   order by b.due_at, b.id
   limit 1
     for no key update skip locked;
  broadcasts.more := found;
  if not found then
    return;
  end if;
  begin
    broadcasts.processed := messages.broadcast_batch(v_broadcast.id, broadcasts.batch, c_waiting);
  exception when others then
    if ops.is_passing(sqlstate) then
      raise;
    end if;
    get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
    update messages.broadcast b set due_at = ops.park('broadcasts', v_broadcast.id::text, v_state, v_error)
     where b.id = v_broadcast.id;
    broadcasts.failed := 1;
  end;
end
$$;
