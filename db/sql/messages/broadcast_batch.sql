-- messages.broadcast_batch: one step of messages.broadcasts. Answers how many contacts it has come on by. While more than `waiting` of its
-- messages are unsent, or all are queued and not yet sent, it is looked at again in 20 seconds.
-- Locks: the caller holds the broadcast. Callers: messages.broadcasts
create or replace function messages.broadcast_batch(id uuid, batch integer, waiting integer)
  returns integer
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_broadcast record;
  v_unsent integer;
  v_ids uuid[] := '{}';
  v_queued integer := 0;
begin
  select b.channel, b.kind, b.segment, b.data, b.position, b.started_at into strict v_broadcast
    from messages.broadcast b where b.id = broadcast_batch.id;
  select count(*) into v_unsent
    from messages.outbox o where o.broadcast_id = broadcast_batch.id and o.state in ('queued', 'sending');
  if v_unsent + broadcast_batch.batch <= broadcast_batch.waiting then
    v_ids := array(
      select c.id from messages.contact c
       where c.channel = v_broadcast.channel and c.id > coalesce(v_broadcast.position, '00000000-0000-0000-0000-000000000000')
         and c.created_at <= v_broadcast.started_at
       order by c.id
       limit broadcast_batch.batch);
    insert into messages.outbox
      (id, channel, kind, workspace_id, dedupe_key, body, state, due_at, created_at, contact_id, broadcast_id)
    select uuidv7(), v_broadcast.channel, v_broadcast.kind, c.workspace_id, 'broadcast:' || broadcast_batch.id || ':' || c.id,
           v_broadcast.data, 'queued', v_now, v_now, c.id, broadcast_batch.id
      from messages.contact c
     where c.id = any (messages.recipients(v_ids, v_broadcast.segment, v_broadcast.kind))
     order by c.id
    on conflict on constraint outbox_dedupe_once do nothing;
    get diagnostics v_queued = row_count;
  end if;
  update messages.broadcast b
     set position = coalesce(v_ids[cardinality(v_ids)], b.position), queued = b.queued + v_queued,
         state = case when x.ended then 'done' else b.state end, ended_at = case when x.ended then v_now end,
         due_at = case when x.ended then null when cardinality(v_ids) = broadcast_batch.batch then v_now
           else v_now + interval '20 seconds' end
    from (select cardinality(v_ids) < broadcast_batch.batch and v_unsent + v_queued = 0 as ended) x
   where b.id = broadcast_batch.id;
  perform ops.unpark('broadcasts', broadcast_batch.id::text);
  return cardinality(v_ids);
end
$$;
