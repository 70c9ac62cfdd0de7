-- messages.fan_out: each of these notices becomes a message to each contact of its workspace that takes it, and is settled with that:
-- delivered; canceled where there is nobody, or what it says is not so any more.
-- Guarantees: one message per notice and contact, whoever runs at once: its key is made of both.
-- Locks: the caller holds the notices. Callers: messages.notices
create or replace function messages.fan_out(ids uuid[])
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_row record;
begin
  for v_row in
    with said as materialized (
      select o.id, o.kind, o.workspace_id, o.body, o.error is not null as parked,
             billing.notice_holds(o.kind, o.body) as holds
        from messages.outbox o
       where o.id = any (fan_out.ids) and o.channel = 'notice' and o.state = 'queued'
    ), told as (
      insert into messages.outbox (id, channel, kind, workspace_id, dedupe_key, body, state, due_at, created_at, contact_id)
      select uuidv7(), c.channel, s.kind, s.workspace_id, s.id || ':' || c.id, s.body, 'queued', v_now, v_now, c.id
        from said s
        join messages.contact c on c.workspace_id = s.workspace_id
       where s.holds and c.silenced_at is null and messages.wants(c.opt_outs, c.left_at, s.kind)
       order by s.id, c.id
      on conflict on constraint outbox_dedupe_once do nothing
      returning dedupe_key
    ), settled as (
      update messages.outbox o
         set state = case when exists (select from told t where split_part(t.dedupe_key, ':', 1) = o.id::text)
               then 'delivered' else 'canceled' end,
             due_at = null, error = null, settled_at = v_now
        from said s
       where o.id = s.id
      returning o.id, s.parked
    )
    select t.id from settled t where t.parked
  loop
    perform ops.unpark('notices', v_row.id::text);
  end loop;
end
$$;
