-- messages.enqueue: a message for the outside, in the statement that causes it. Once per channel and dedupe key. Due at once, or at
-- `due_at`; for a contact, as part of a broadcast, or for one of the operator's endpoints, where it is. Callers: every routine that has something to say to the outside
create or replace function messages.enqueue(
  channel text,
  kind text,
  workspace_id uuid,
  dedupe_key text,
  body jsonb,
  due_at timestamptz default null,
  contact_id uuid default null,
  endpoint_id uuid default null,
  broadcast_id uuid default null
)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into messages.outbox (id, channel, kind, workspace_id, dedupe_key, body, state, due_at, created_at, contact_id,
                               endpoint_id, broadcast_id)
  values (uuidv7(), enqueue.channel, enqueue.kind, enqueue.workspace_id, enqueue.dedupe_key, enqueue.body, 'queued',
          greatest(enqueue.due_at, ops.now()), ops.now(), enqueue.contact_id, enqueue.endpoint_id, enqueue.broadcast_id)
  on conflict on constraint outbox_dedupe_once do nothing;
end
$$;
