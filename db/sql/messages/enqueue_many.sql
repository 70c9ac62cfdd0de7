-- messages.enqueue_many: messages.enqueue for many at once: message i is about `workspace_ids[i]`, by `dedupe_keys[i]`, and
-- says `bodies[i]`. Those whose key is known already, or comes twice here, are there once.
-- Guarantees: inserts in the order of the keys, so that two calls with the same ones never wait for each other in a ring.
-- Refuses: SQLSTATE TG011 when the lists are not of one length (a fault of ours).
-- Callers: every routine that has something to say to the outside about many workspaces
create or replace function messages.enqueue_many(
  channel text,
  kind text,
  workspace_ids uuid[],
  dedupe_keys text[],
  bodies jsonb[]
)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
begin
  if (cardinality(enqueue_many.workspace_ids), cardinality(enqueue_many.bodies))
    is distinct from (cardinality(enqueue_many.dedupe_keys), cardinality(enqueue_many.dedupe_keys)) then
    raise exception using errcode = 'TG011', message = 'each message has a workspace, a key and a body';
  end if;
  insert into messages.outbox (id, channel, kind, workspace_id, dedupe_key, body, state, due_at, created_at)
  select uuidv7(), enqueue_many.channel, enqueue_many.kind, i.workspace_id, i.dedupe_key, i.body, 'queued', v_now, v_now
    from unnest(enqueue_many.workspace_ids, enqueue_many.dedupe_keys, enqueue_many.bodies) i(workspace_id, dedupe_key, body)
   order by i.dedupe_key
  on conflict on constraint outbox_dedupe_once do nothing;
end
$$;
